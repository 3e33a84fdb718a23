"""Converts a report to Prometheus' metrics. Pure.

Guarantees: base units (bytes, seconds, ratios from 0 to 1). An unknown value has no sample. The number of
label values is bounded: interfaces and alerts by a maximum, states and checks by the code. No address and no
user name is a label, and a process only as the subject of an alert about a network namespace without a name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from network_health import __version__
from network_health.export.alert_families import alert_families
from network_health.export.interface_families import interface_families
from network_health.export.text_format import family, labels, single
from network_health.model import Cost, PortUse, Protocols, Share
from network_health.reporting import Report, safe_text

_STATUSES = ("healthy", "network_issue", "check_failed")
_STATES = (
    *("established", "syn_sent", "syn_recv", "fin_wait1", "fin_wait2", "time_wait"),
    *("close", "close_wait", "last_ack", "listen", "closing", "udp"),
)
#: The label of states that only other systems have.
_OTHER = "other"

#: The rates of `Protocols`: name and help text by attribute.
_RATES = {
    "out_segments_per_sec": ("tcp_segments_sent_per_second", "TCP segments sent."),
    "listen_overflows_per_sec": (
        "tcp_listen_overflows_per_second",
        "Connection attempts dropped because the accept queue was full.",
    ),
    "listen_drops_per_sec": (
        "tcp_listen_drops_per_second",
        "Connection attempts dropped by listening sockets for any reason.",
    ),
    "syn_cookies_sent_per_sec": ("tcp_syn_cookies_sent_per_second", "SYNs answered with a SYN cookie."),
    "syn_queue_full_cookies_per_sec": (
        "tcp_syn_queue_full_cookies_per_second",
        "SYNs that arrived at a full SYN queue while SYN cookies are enabled.",
    ),
    "syn_queue_full_drops_per_sec": (
        "tcp_syn_queue_full_drops_per_second",
        "SYNs dropped because the SYN queue was full.",
    ),
    "udp_receive_buffer_errors_per_sec": (
        "udp_receive_buffer_errors_per_second",
        "UDP datagrams lost because a receive buffer was full.",
    ),
    "udp_send_buffer_errors_per_sec": (
        "udp_send_buffer_errors_per_second",
        "UDP datagrams not sent because a send buffer was full.",
    ),
    "softnet_dropped_per_sec": (
        "softnet_dropped_per_second",
        "Received packets dropped because the backlog queue of a CPU was full.",
    ),
    "softnet_squeezed_per_sec": (
        "softnet_squeezed_per_second",
        "How often a CPU stopped receive processing at its budget although packets were left.",
    ),
}

#: The limited resources of `Protocols`: name and help text by attribute.
_SHARES = {
    "conntrack": ("conntrack_used_ratio", "Share of the connection tracking table in use."),
    "orphans": ("tcp_orphans_used_ratio", "Orphaned TCP sockets as a share of tcp_max_orphans."),
    "tcp_memory": (
        "tcp_memory_used_ratio",
        "Memory of all TCP sockets as a share of the maximum in tcp_mem.",
    ),
    "busiest_ports": (
        "ephemeral_ports_used_ratio",
        "Share of the ephemeral ports in use by the busiest local address, remote address and remote port.",
    ),
}


def exposition(report: Report, check_interval_s: float | None = None) -> bytes:
    """The report in Prometheus' text format; alert rules detect late checks by ``check_interval_s``."""
    return "".join(_families(report, check_interval_s)).encode()


def _families(report: Report, interval_s: float | None) -> Iterator[str]:
    yield from _check(report, interval_s)
    yield from alert_families(report)
    if report.interfaces is not None:
        alerted = {safe_text(alert.finding.subject) for alert in report.alerts}
        yield from interface_families(report.interfaces, alerted)
    if report.connections is not None:
        yield _connections(report.connections.by_status)
    if report.protocols is not None:
        yield from _protocols(report.protocols)


def _check(report: Report, interval_s: float | None) -> Iterator[str]:
    yield _labelled(
        "build_info", "The version of network_health; the value is always 1.", "version", {__version__: 1}
    )
    yield single("last_check_timestamp_seconds", "Time of the last check.", report.timestamp)
    yield single(
        "check_interval_seconds", "Time from the start of one check to the start of the next.", interval_s
    )
    if report.cost is not None:
        yield from _durations(report.cost, {failure.collector for failure in report.failures})
    statuses = {status: int(status == report.status) for status in _STATUSES}
    yield _labelled("status", "1 for the status of the last report, else 0.", "status", statuses)
    errors = len(report.metrics.get("settings_errors", ()))
    yield single("settings_errors", "Number of settings whose value is not allowed or does not work.", errors)


def _durations(cost: Cost, failed: set[str]) -> Iterator[str]:
    durations = {name: _seconds(ms) for name, ms in cost.collectors_ms.items()}
    yield single("check_duration_seconds", "Duration of the last check.", _seconds(cost.total_ms))
    yield _labelled("collector_duration_seconds", "Duration of each collector.", "collector", durations)
    success = {name: int(name not in failed) for name in durations if name != "culprits"}
    yield _labelled("collector_success", "1 if the collector succeeded, else 0.", "collector", success)


def _connections(by_status: Mapping[str, int]) -> str:
    counts = dict.fromkeys(_STATES, 0)
    for status, count in by_status.items():
        state = "udp" if status == "NONE" else status.lower()
        known = state if state in counts else _OTHER
        counts[known] = counts.get(known, 0) + count
    meaning = "TCP sockets by state; the state of UDP sockets is udp."
    return _labelled("connections", meaning, "state", counts)


def _protocols(protocols: Protocols) -> Iterator[str]:
    for key, (name, meaning) in _RATES.items():
        yield single(name, meaning, getattr(protocols, key))
    percent = protocols.retransmit_percent
    ratio = None if percent is None else round(percent / 100, 6)
    yield single("tcp_retransmit_ratio", "Retransmitted TCP segments as a share of the segments sent.", ratio)
    for key, (name, meaning) in _SHARES.items():
        found: Share | PortUse | None = getattr(protocols, key)
        share = found.ports if isinstance(found, PortUse) else found
        yield single(name, meaning, share.used / share.limit if share else None)


def _labelled(name: str, meaning: str, label: str, values: Mapping[str, float]) -> str:
    return family(name, meaning, [(labels(**{label: key}), value) for key, value in values.items()])


def _seconds(milliseconds: float) -> float:
    return round(milliseconds / 1e3, 5)
