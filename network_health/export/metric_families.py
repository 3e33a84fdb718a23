"""Converts a report to Prometheus' metric families, with Prometheus' official client library. Pure.

Guarantees: base units (bits, bytes, seconds, ratios from 0 to 1). An unknown value has no sample. The number
of label values is bounded: interfaces by `MAX_INTERFACES`, states and checks by the code; no process, address
or user is a label.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from operator import itemgetter
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from network_health.reporting import Report

#: With more interfaces, those with an alert come first, then physical ones, then the oldest.
MAX_INTERFACES = 1000

_STATUSES = ("healthy", "network_issue", "check_failed")
_STATES = (
    *("ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"),
    *("CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NONE"),
)
#: The label of states that only other systems have.
_OTHER = "OTHER"

_Entry = Mapping[str, Any]
_Samples = Iterable[tuple[Sequence[str], float | None]]


def _known(key: str) -> Callable[[_Entry], float | None]:
    """The value, or ``None`` where the report has to say 0 for an unknown one."""
    return lambda entry: None if key in entry.get("unknown", ()) else entry[key]


def _rate(key: str) -> Callable[[_Entry], float | None]:
    known = _known(key)
    return lambda entry: None if (mbps := known(entry)) is None else _bits(mbps)


def _bits(megabits: float) -> float:
    return round(megabits * 1e6)


#: Metrics of an interface: name, help text, and how to get the value from its entry in the report.
_INTERFACE_METRICS: tuple[tuple[str, str, Callable[[_Entry], float | None]], ...] = (
    ("transmit_bits_per_second", "Outbound rate since the previous check.", _rate("tx_rate_mbps")),
    ("receive_bits_per_second", "Inbound rate since the previous check.", _rate("rx_rate_mbps")),
    ("transmit_peak_bits_per_second", "Outbound rate of the highest second.", _rate("tx_peak_mbps")),
    ("receive_peak_bits_per_second", "Inbound rate of the highest second.", _rate("rx_peak_mbps")),
    ("up", "1 if the interface is up and running, else 0.", itemgetter("up")),
    ("speed_bits_per_second", "Link speed, if known.", lambda entry: _bits(entry["speed_mbps"]) or None),
    ("mtu_bytes", "MTU of the interface.", itemgetter("mtu")),
    ("transmit_errors_total", "Transmit errors since the interface was created.", _known("tx_errs")),
    ("receive_errors_total", "Receive errors since the interface was created.", _known("rx_errs")),
    ("drops_total", "Packets dropped in both directions since the interface was created.", _known("drops")),
    (
        "carrier_changes_total",
        "Carrier changes, up or down, since the interface was created.",
        itemgetter("carrier_changes"),
    ),
)

#: Metrics of ``metrics.protocols`` that are rates: name and help text by key.
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

#: Metrics of ``metrics.protocols`` that have a used part and a limit: name and help text by key.
_SHARES = {
    "conntrack": ("conntrack_used_ratio", "Share of the connection tracking table in use."),
    "orphans": ("tcp_orphans_used_ratio", "Orphaned TCP sockets as a share of tcp_max_orphans."),
    "tcp_memory": (
        "tcp_memory_used_ratio",
        "Memory of all TCP sockets as a share of the maximum in tcp_mem.",
    ),
    "ephemeral_ports": (
        "ephemeral_ports_used_ratio",
        "Share of the ephemeral ports in use by the busiest local address, remote address and remote port.",
    ),
}


class _ReportCollector(Collector):
    def __init__(self, report: Report, check_interval_s: float | None) -> None:
        self._report, self._check_interval_s = report, check_interval_s

    def collect(self) -> Iterator[Metric]:
        families = _families(self._report, self._check_interval_s)
        yield from (family for family in families if family.samples)


def exposition(report: Report, check_interval_s: float | None = None) -> bytes:
    """The report in Prometheus' text format; alert rules detect late checks by ``check_interval_s``."""
    registry = CollectorRegistry()
    registry.register(_ReportCollector(report, check_interval_s))
    return generate_latest(registry)


def _families(report: Report, interval_s: float | None) -> Iterator[Metric]:
    metrics = report.metrics
    alerts: Sequence[_Entry] = metrics.get("alerts", ())
    yield from _check(report, interval_s)
    yield _family(
        "alert",
        "1 for each active alert.",
        ("check", "subject", "severity"),
        (((alert["check"], alert["subject"], alert["severity"]), 1) for alert in alerts),
    )
    if "interfaces" in metrics:
        yield from _interfaces(metrics["interfaces"], {alert["subject"] for alert in alerts})
    if "by_status" in metrics:
        counts = dict.fromkeys(_STATES, 0)
        for state, count in metrics["by_status"].items():
            known = state if state in counts else _OTHER
            counts[known] = counts.get(known, 0) + count
        yield _labelled(
            "connections", "TCP and UDP sockets by state. The state of UDP sockets is NONE.", "state", counts
        )
    yield from _protocols(metrics.get("protocols", {}))


def _check(report: Report, interval_s: float | None) -> Iterator[Metric]:
    metrics = report.metrics
    yield _labelled(
        "build_info", "The version of network_health; the value is always 1.", "version", {_version(): 1}
    )
    yield _single("last_check_timestamp_seconds", "Time of the last check.", report.timestamp)
    yield _single(
        "check_interval_seconds", "Time from the start of one check to the start of the next.", interval_s
    )
    cost = metrics.get("check", {"total_ms": None, "collectors": {}})
    durations = {name: _seconds(ms) for name, ms in cost["collectors"].items()}
    yield _single("check_duration_seconds", "Duration of the last check.", _seconds(cost["total_ms"]))
    yield _labelled("collector_duration_seconds", "Duration of each collector.", "collector", durations)
    failed = {failure["collector"] for failure in metrics.get("failures", ())}
    success = {name: name not in failed for name in durations if name != "culprits"}
    yield _labelled("collector_success", "1 if the collector succeeded, else 0.", "collector", success)
    statuses = {status: status == report.status for status in _STATUSES}
    yield _labelled("status", "1 for the status of the last report, else 0.", "status", statuses)
    errors = len(metrics.get("settings_errors", ()))
    yield _single(
        "settings_errors", "Number of settings whose value is not allowed or does not work.", errors
    )


def _interfaces(entries: Sequence[_Entry], alerted: Collection[str]) -> Iterator[Metric]:
    by_name = {entry["iface"]: entry for entry in entries}
    exported = list(by_name.values())
    if len(exported) > MAX_INTERFACES:  # a stable sort keeps the kernel's order: the oldest first
        exported.sort(key=lambda entry: (entry["iface"] not in alerted, entry["kind"] != ""))
        del exported[MAX_INTERFACES:]
    for name, meaning, value_of in _INTERFACE_METRICS:
        values = {entry["iface"]: value_of(entry) for entry in exported}
        yield _labelled(f"interface_{name}", meaning, "interface", values)
    left_out = len(by_name) - len(exported)
    yield _single(
        "interfaces_left_out",
        f"Interfaces that are not exported because there are more than {MAX_INTERFACES}.",
        left_out,
    )


def _protocols(metrics: _Entry) -> Iterator[Metric]:
    for key, (name, meaning) in _RATES.items():
        yield _single(name, meaning, metrics.get(key))
    percent = metrics.get("retransmit_percent")
    ratio = None if percent is None else round(percent / 100, 6)
    yield _single(
        "tcp_retransmit_ratio", "Retransmitted TCP segments as a share of the segments sent.", ratio
    )
    for key, (name, meaning) in _SHARES.items():
        share = metrics.get(key)
        yield _single(name, meaning, share["used"] / share["limit"] if share else None)


def _family(name: str, meaning: str, labels: Sequence[str], samples: _Samples) -> Metric:
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    family = kind(f"network_health_{name}", meaning, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family


def _single(name: str, meaning: str, value: float | None) -> Metric:
    return _family(name, meaning, (), [((), value)])


def _labelled(name: str, meaning: str, label: str, values: Mapping[str, float | None]) -> Metric:
    return _family(name, meaning, (label,), (((key,), value) for key, value in values.items()))


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / 1e3, 6)


@cache
def _version() -> str:
    try:
        return version("matrixswarm-network-health")
    except PackageNotFoundError:  # run from a source folder, not installed
        return "unknown"
