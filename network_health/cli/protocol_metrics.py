"""The figures of a report beside the limits that judge them. Pure.

Laws: a figure that is not known is left out, never 0; every limit of `Settings` has its figure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from network_health.settings import Settings

#: Which setting judges which figure of ``metrics.protocols``; of an object its ``percent``.
PROTOCOL_LIMITS = {
    "retransmit_percent": "retransmit_threshold_percent",
    "listen_overflows_per_sec": "listen_overflow_threshold_per_sec",
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


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure. ``unit`` is ``%``, ``c`` for a count that only grows, ``s``, or nothing."""

    name: str
    value: float
    unit: str = ""
    limit: float | None = None


def figures(content: Mapping[str, Any], settings: Settings) -> Iterator[Figure]:
    """Every figure that is worth a graph, of a report's content."""
    metrics = content["metrics"]
    for link in metrics.get("interfaces", ()):
        name = link["iface"]
        yield Figure(f"{name}_tx_mbps", link["tx_rate_mbps"], "", settings.tx_threshold_mbps)
        yield Figure(f"{name}_rx_mbps", link["rx_rate_mbps"], "", settings.rx_threshold_mbps)
        for counter in ("tx_errs", "rx_errs", "drops"):
            yield Figure(f"{name}_{counter}", link[counter], "c")
    if "total_connections" in metrics:
        yield Figure("connections", metrics["total_connections"], "", settings.conn_threshold)
    yield from protocol_figures(metrics, settings)
    yield Figure("check_time", round(metrics["check"]["total_ms"] / 1e3, 5), "s")


def protocol_figures(metrics: Mapping[str, Any], settings: Settings) -> Iterator[Figure]:
    """The figures of ``metrics.protocols`` that are known."""
    for name, value in metrics.get("protocols", {}).items():
        if isinstance(value, Mapping):
            name, value = f"{name}_percent", value["percent"]
        if value is None:
            continue
        setting = PROTOCOL_LIMITS.get(name) or PROTOCOL_LIMITS.get(name.removesuffix("_percent"))
        limit = getattr(settings, setting) if setting else None
        yield Figure(name, value, "%" if name.endswith("_percent") else "", limit)
