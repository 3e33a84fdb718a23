"""A report -> Prometheus' metric families, by its official client library. Pure.

Laws: base units (bits, bytes, seconds, ratios of 0 to 1); what is not known has no sample. Labels are
bounded: interfaces by `MOST_INTERFACES`, states and checks by the code; no process, address or user is a
label. Only the last report has samples: what it no longer has, a removed interface say, is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.core import CollectorRegistry, CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from network_health.reporting import Report

#: Past this number those with an alert come first, then physical ones, then those that exist the longest.
MOST_INTERFACES = 1000

_STATUSES = ("healthy", "network_issue", "check_failed")
_STATES = (
    *("ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"),
    *("CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NONE"),
)
#: Stands for the states that only other systems have.
_OTHER = "OTHER"

_Entry = Mapping[str, Any]
_Kind = type[GaugeMetricFamily] | type[CounterMetricFamily]
_Samples = Iterable[tuple[Sequence[str], float | None]]

#: Of an interface: name, meaning, kind, and the figure in its entry of the report.
_OF_INTERFACES: tuple[tuple[str, str, _Kind, Callable[[_Entry], float | None]], ...] = (
    (
        "transmit_bits_per_second",
        "Outbound rate since the check before.",
        GaugeMetricFamily,
        lambda entry: _rate(entry, "tx_rate_mbps"),
    ),
    (
        "receive_bits_per_second",
        "Inbound rate since the check before.",
        GaugeMetricFamily,
        lambda entry: _rate(entry, "rx_rate_mbps"),
    ),
    ("up", "Whether the interface is up and running.", GaugeMetricFamily, lambda entry: entry["up"]),
    (
        "speed_bits_per_second",
        "Link speed, where it is known.",
        GaugeMetricFamily,
        lambda entry: _bits(entry["speed_mbps"]) or None,
    ),
    ("mtu_bytes", "MTU of the interface.", GaugeMetricFamily, lambda entry: entry["mtu"]),
    (
        "transmit_errors_total",
        "Transmit errors since the interface was created.",
        CounterMetricFamily,
        lambda entry: entry["tx_errs"],
    ),
    (
        "receive_errors_total",
        "Receive errors since the interface was created.",
        CounterMetricFamily,
        lambda entry: entry["rx_errs"],
    ),
    (
        "drops_total",
        "Packets dropped in either direction since the interface was created.",
        CounterMetricFamily,
        lambda entry: entry["drops"],
    ),
    (
        "carrier_changes_total",
        "How often the carrier came or went since the interface was created.",
        CounterMetricFamily,
        lambda entry: entry["carrier_changes"],
    ),
)

#: Figures of ``metrics.protocols`` that are rates.
_RATES = {
    "out_segments_per_sec": ("tcp_segments_sent_per_second", "TCP segments sent."),
    "listen_overflows_per_sec": (
        "tcp_listen_overflows_per_second",
        "Connections lost at full accept queues.",
    ),
    "listen_drops_per_sec": ("tcp_listen_drops_per_second", "Connections that listening sockets dropped."),
    "syn_cookies_sent_per_sec": ("tcp_syn_cookies_sent_per_second", "SYN cookies sent."),
    "syn_queue_full_cookies_per_sec": (
        "tcp_syn_queue_full_cookies_per_second",
        "SYN queues found full and answered with cookies.",
    ),
    "syn_queue_full_drops_per_sec": ("tcp_syn_queue_full_drops_per_second", "SYNs dropped at full queues."),
    "udp_receive_buffer_errors_per_sec": (
        "udp_receive_buffer_errors_per_second",
        "UDP datagrams lost at full receive buffers.",
    ),
    "udp_send_buffer_errors_per_sec": (
        "udp_send_buffer_errors_per_second",
        "UDP datagrams refused at full send buffers.",
    ),
    "softnet_dropped_per_sec": ("softnet_dropped_per_second", "Packets dropped by the CPUs' receive work."),
    "softnet_squeezed_per_sec": ("softnet_squeezed_per_second", "Polls of the CPUs' receive work cut short."),
}

#: Figures of ``metrics.protocols`` that are shares of something limited.
_SHARES = {
    "conntrack": ("conntrack_used_ratio", "Share of the connection tracking table in use."),
    "orphans": ("tcp_orphans_used_ratio", "Share of the allowed orphaned TCP sockets in use."),
    "tcp_memory": ("tcp_memory_used_ratio", "Share of the allowed TCP memory in use."),
    "ephemeral_ports": (
        "ephemeral_ports_used_ratio",
        "Share of the local ports in use on the route that uses most of them.",
    ),
}


class ReportCollector(Collector):
    """The last report, for a registry of one's own: ``registry.register(collector)``."""

    def __init__(self) -> None:
        self._shown: tuple[Report, float | None] | None = None

    def show(self, report: Report, check_interval_s: float | None = None) -> None:
        """Have this report collected from now on; by the interval, alert rules know what is late."""
        self._shown = report, check_interval_s

    def collect(self) -> Iterator[Metric]:
        """The families that have samples; none before the first report."""
        if self._shown is not None:
            yield from (family for family in _families(*self._shown) if family.samples)


def exposition(report: Report, check_interval_s: float | None = None) -> bytes:
    """The report in Prometheus' text format."""
    collector, registry = ReportCollector(), CollectorRegistry()
    collector.show(report, check_interval_s)
    registry.register(collector)
    return generate_latest(registry)


def _families(report: Report, interval_s: float | None) -> Iterator[Metric]:
    metrics = report.metrics
    alerts: Sequence[_Entry] = metrics.get("alerts", ())
    yield from _check(report, interval_s)
    yield _family(
        "alert",
        "An alert that stands.",
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
        yield _by("connections", "TCP and UDP sockets by state; UDP is NONE.", "state", counts)
    yield from _protocols(metrics.get("protocols", {}))


def _check(report: Report, interval_s: float | None) -> Iterator[Metric]:
    metrics = report.metrics
    yield _by("build_info", "The version of network_health.", "version", {_version(): 1})
    yield _gauge("last_check_timestamp_seconds", "When the last check was made.", report.timestamp)
    yield _gauge(
        "check_interval_seconds", "Time from the start of one check to that of the next.", interval_s
    )
    cost = metrics.get("check", {"total_ms": None, "collectors": {}})
    durations = {name: _seconds(ms) for name, ms in cost["collectors"].items()}
    yield _gauge("check_duration_seconds", "How long the last check took.", _seconds(cost["total_ms"]))
    yield _by("collector_duration_seconds", "How long each collector took.", "collector", durations)
    failed = {failure["collector"] for failure in metrics.get("failures", ())}
    answered = {name: name not in failed for name in durations if name != "culprits"}
    yield _by("collector_success", "Whether the collector answered.", "collector", answered)
    statuses = {status: status == report.status for status in _STATUSES}
    yield _by("status", "1 for the status of the last report.", "status", statuses)
    wrong = len(metrics.get("settings_errors", ()))
    yield _gauge("settings_errors", "Settings that are not allowed, or that do not work.", wrong)


def _interfaces(entries: Sequence[_Entry], alerted: Collection[str]) -> Iterator[Metric]:
    named = {entry["iface"]: entry for entry in entries}
    shown = list(named.values())
    if len(shown) > MOST_INTERFACES:  # sorting is stable, and the kernel lists the oldest first
        shown.sort(key=lambda entry: (entry["iface"] not in alerted, entry["kind"] != ""))
        del shown[MOST_INTERFACES:]
    labels = [((entry["iface"],), entry) for entry in shown]
    for name, meaning, kind, figure in _OF_INTERFACES:
        samples = ((label, figure(entry)) for label, entry in labels)
        yield _family(f"interface_{name}", meaning, ("interface",), samples, kind)
    left_out = len(named) - len(shown)
    yield _gauge("interfaces_left_out", f"Interfaces past the first {MOST_INTERFACES}.", left_out)


def _protocols(figures: _Entry) -> Iterator[Metric]:
    for key, (name, meaning) in _RATES.items():
        yield _gauge(name, meaning, figures.get(key))
    again = figures.get("retransmit_percent")
    ratio = None if again is None else round(again / 100, 6)
    yield _gauge("tcp_retransmit_ratio", "Share of TCP segments sent again.", ratio)
    for key, (name, meaning) in _SHARES.items():
        share = figures.get(key)
        yield _gauge(name, meaning, share["used"] / share["limit"] if share else None)


def _family(
    name: str, meaning: str, labels: Sequence[str], samples: _Samples, kind: _Kind = GaugeMetricFamily
) -> Metric:
    family = kind(f"network_health_{name}", meaning, labels=labels)
    for values, value in samples:
        if value is not None:
            family.add_metric(values, value)
    return family


def _gauge(name: str, meaning: str, value: float | None) -> Metric:
    return _family(name, meaning, (), [((), value)])


def _by(name: str, meaning: str, label: str, values: Mapping[str, float | None]) -> Metric:
    return _family(name, meaning, (label,), (((key,), value) for key, value in values.items()))


def _rate(entry: _Entry, key: str) -> float | None:
    """The report says 0 where a counter was reset; here, what is not known has no sample."""
    return None if entry["counters_reset"] else _bits(entry[key])


def _bits(megabits: float) -> float:
    return round(megabits * 1e6)


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds / 1e3, 6)


@cache
def _version() -> str:
    try:
        return version("matrixswarm-network-health")
    except PackageNotFoundError:  # run from a folder that was never installed
        return "unknown"
