"""Names the setting that limits each protocol metric of a report. Pure."""

from __future__ import annotations

#: The setting that limits each metric of ``metrics.protocols``; of an object it limits the ``percent``.
PROTOCOL_LIMITS = {
    "retransmit_percent": "retransmit_threshold_percent",
    "listen_overflows_per_sec": "listen_overflow_threshold_per_sec",
    "listen_drops_per_sec": "listen_drop_threshold_per_sec",
    "syn_cookies_sent_per_sec": "syn_queue_threshold_per_sec",
    "syn_queue_full_drops_per_sec": "syn_queue_threshold_per_sec",
    "udp_receive_buffer_errors_per_sec": "udp_error_threshold_per_sec",
    "udp_send_buffer_errors_per_sec": "udp_error_threshold_per_sec",
    "softnet_dropped_per_sec": "softnet_threshold_per_sec",
    "softnet_squeezed_per_sec": "softnet_threshold_per_sec",
    "conntrack": "conntrack_threshold_percent",
    "orphans": "orphan_threshold_percent",
    "tcp_memory": "tcp_memory_threshold_percent",
    "ephemeral_ports": "ephemeral_port_threshold_percent",
}
