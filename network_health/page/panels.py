"""Reads a history into panels: each is one plot, in several resolutions.

A page is a file: it cannot ask the history again when a reader zooms in. So it has the last hours, days and
weeks in finer resolutions than all that is kept.

Guarantees: the number of values is bounded, however much is kept and however many interfaces, processes and
containers there were. An unknown value stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from network_health.history import History, KeptSettings, Series
from network_health.reporting import PROTOCOL_LIMITS, printable

#: The resolutions: the last 12 hours, 2 days, 8 days, 31 days, and all that is kept.
_SPANS_S = (12 * 3600, 2 * 86400, 8 * 86400, 31 * 86400)
#: Values of a curve in one resolution: those of interfaces (shared among them), and of all others.
_MAX_POINTS, _MIN_POINTS, _INTERFACE_POINTS = 1500, 200, 12_000
_OTHER_POINTS = 800
#: So many interfaces are drawn at once; more, up to the second number, when the reader asks for them.
_SHOWN_INTERFACES, _MAX_INTERFACES = 8, 50
#: One plot has curves of at most so many processes or containers.
_MAX_LABELS = 12

_MBPS_PER_BYTE = 8 / 1e6

Levels = Sequence[Mapping[str, "Curve"]]


@dataclass(frozen=True, slots=True)
class Curve:
    """``highest`` is that of another series where ``series`` itself does not have the peaks.

    All values are multiplied by ``factor``.
    """

    series: Series
    peaks: Series | None = None
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit over time: from each time (epoch seconds) on it has the value, or ``None`` where it is off."""

    label: str
    steps: tuple[tuple[float, float | None], ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot. ``levels`` has the curves by label, the finest resolution first.

    ``kind`` is how they are drawn: as lines, or one on top of the other. ``subject`` is the interface.
    ``extra`` panels are drawn only if the reader asks for them. ``total`` is the label of the sum of a stack,
    whose highest values are drawn above it.
    """

    group: str
    title: str
    unit: str
    levels: Levels
    limits: tuple[Limit, ...] = ()
    kind: Literal["lines", "stack"] = "lines"
    subject: str = ""
    extra: bool = False
    total: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of all levels; the order is that of the levels, the one that covers most first."""
        return tuple(dict.fromkeys(label for level in reversed(self.levels) for label in level))


def read_panels(history: History, since: float, until: float) -> tuple[Panel, ...]:
    """The panels of what is kept from ``since``, before ``until`` (epoch seconds).

    Raises:
        HistoryError: the file cannot be read.
    """
    ranges = [(until - span, until) for span in _SPANS_S if until - span > since]
    ranges.append((since, until))
    changes = history.limits(since, until)
    others = [(begin, end, _OTHER_POINTS) for begin, end in ranges]
    return (
        *_interfaces(_read_interfaces(history, ranges), changes),
        *_connections([history.connections(*each) for each in others], changes),
        *_protocols([history.protocols(*each) for each in others], changes),
        *_processes([history.processes(*each) for each in others]),
        *_containers([history.containers(*each) for each in others], changes),
        *_cost([history.cost(*each) for each in others]),
    )


def _read_interfaces(
    history: History, ranges: Sequence[tuple[float, float]]
) -> list[Mapping[str, Mapping[str, Series]]]:
    """The interfaces in each resolution: the more there are, the coarser."""
    found: list[Mapping[str, Mapping[str, Series]]] = []
    points = _MAX_POINTS
    for since, until in reversed(ranges):  # the last range has all interfaces
        known = history.interfaces(since, until, points)
        points = max(_MIN_POINTS, min(_MAX_POINTS, _INTERFACE_POINTS // max(len(known), 1)))
        found.insert(0, known)
    return found


def _interfaces(
    levels: Sequence[Mapping[str, Mapping[str, Series]]], changes: Sequence[KeptSettings]
) -> Iterator[Panel]:
    """The rates of each interface, the busiest first; and its errors and drops, if it had any."""
    busiest = sorted(levels[-1], key=lambda name: (-_traffic(levels[-1][name]), name))
    limit_out = _limit(changes, "tx_threshold_mbps", "Limit out")
    limit_in = _limit(changes, "rx_threshold_mbps", "Limit in")
    limits: tuple[Limit, ...] = (limit_out, limit_in)
    if limit_out.steps == limit_in.steps:
        limits = (Limit("Limit", limit_out.steps),)
    for index, name in enumerate(busiest[:_MAX_INTERFACES]):
        kept = [level.get(name, {}) for level in levels]
        extra = index >= _SHOWN_INTERFACES
        rates: list[dict[str, Curve]] = [
            {
                label: Curve(series[f"{direction}_mbps"], series.get(f"{direction}_peak_mbps"))
                for direction, label in (("tx", "Out"), ("rx", "In"))
                if f"{direction}_mbps" in series
            }
            for series in kept
        ]
        title = printable(name)
        yield Panel("Interfaces", title, "Mbps", rates, limits, subject=name, extra=extra)
        lost = [
            {label: Curve(series[key]) for key, label in _LOSSES if key in series and _any(series[key])}
            for series in kept
        ]
        if any(lost):
            yield Panel(
                "Interfaces", f"{title}: errors and drops", "packets", lost, subject=name, extra=extra
            )


_LOSSES = (("errors", "Errors"), ("drops", "Drops"))


def _connections(levels: Sequence[Mapping[str, Series]], changes: Sequence[KeptSettings]) -> Iterator[Panel]:
    """The sockets by state, the most frequent at the bottom, and their total."""
    states = [
        {
            "UDP" if name == "NONE" else name: Curve(series)
            for name, series in level.items()
            if name != "total"
        }
        for level in levels
    ]
    totals = [{"Total": Curve(level["total"])} if "total" in level else {} for level in levels]
    curves = [{**of_state, **total} for of_state, total in zip(_ranked(states), totals, strict=True)]
    limit = _limit(changes, "conn_threshold", "Limit")
    for panel in _panels("Connections", "Connections by state", "sockets", curves, (limit,), "stack"):
        yield replace(panel, total="Total")


def _protocols(levels: Sequence[Mapping[str, Series]], changes: Sequence[KeptSettings]) -> Iterator[Panel]:
    """Each metric that was ever above zero, or that has a limit."""
    for name in dict.fromkeys(name for level in reversed(levels) for name in level):
        field = _FIELDS.get(name, name)
        limit = _limit(changes, PROTOCOL_LIMITS.get(field, ""), "Limit")
        used = any(name in level and _any(level[name]) for level in levels)
        if not used and not any(value is not None for _, value in limit.steps):
            continue
        unit = "1/s" if name.endswith("_per_sec") else "%"
        title = _PROTOCOL_TITLES.get(field) or name.removesuffix("_per_sec").replace("_", " ").capitalize()
        curves = [{"Value": Curve(level[name])} if name in level else {} for level in levels]
        yield from _panels("Protocols", title, unit, curves, (limit,))


#: The report's name of a resource, of which a history has the share that is in use.
_FIELDS = {
    "conntrack_percent": "conntrack",
    "orphans_percent": "orphans",
    "tcp_memory_percent": "tcp_memory",
    "busiest_ports_percent": "ephemeral_ports",
}
_PROTOCOL_TITLES = {
    "out_segments_per_sec": "TCP segments sent",
    "retransmit_percent": "TCP segments sent again",
    "listen_overflows_per_sec": "Accept queue overflows",
    "listen_drops_per_sec": "Connection attempts dropped",
    "syn_cookies_sent_per_sec": "SYN cookies sent",
    "syn_queue_full_cookies_per_sec": "SYN queue full, answered with a cookie",
    "syn_queue_full_drops_per_sec": "SYN queue full, dropped",
    "udp_receive_buffer_errors_per_sec": "UDP datagrams lost, receive buffer full",
    "udp_send_buffer_errors_per_sec": "UDP datagrams not sent, send buffer full",
    "conntrack": "Connection tracking table in use",
    "orphans": "Orphaned TCP sockets, share of the maximum",
    "tcp_memory": "TCP memory in use",
    "ephemeral_ports": "Ephemeral ports in use, busiest destination",
}


def _processes(levels: Sequence[Mapping[str, Mapping[str, Series]]]) -> Iterator[Panel]:
    """The top processes: what they sent and received, their CPU and memory."""
    for key, title, unit, factor in (
        ("sent_bytes_per_s", "Sent by process", "Mbps", _MBPS_PER_BYTE),
        ("received_bytes_per_s", "Received by process", "Mbps", _MBPS_PER_BYTE),
        ("cpu_percent", "CPU by process", "% of one CPU", 1.0),
        ("rss_mb", "Memory by process", "MiB", 1.0),
    ):
        curves = [
            {name: Curve(series[key], factor=factor) for name, series in level.items() if key in series}
            for level in levels
        ]
        yield from _panels("Processes", title, unit, _ranked(curves), (), "stack")


def _containers(
    levels: Sequence[Mapping[str, Mapping[str, Series]]], changes: Sequence[KeptSettings]
) -> Iterator[Panel]:
    """The sockets in the network namespaces of containers and services."""
    curves = [
        {name: Curve(series["total"]) for name, series in level.items() if "total" in series}
        for level in levels
    ]
    limit = _limit(changes, "container_conn_threshold", "Limit for each")
    yield from _panels("Containers", "Connections by container", "sockets", _ranked(curves), (limit,))


def _cost(levels: Sequence[Mapping[str, Series]]) -> Iterator[Panel]:
    curves = [{"Duration": Curve(level["total_ms"])} if "total_ms" in level else {} for level in levels]
    yield from _panels("Checks", "Duration of a check", "ms", curves)


def _panels(
    group: str,
    title: str,
    unit: str,
    levels: Levels,
    limits: tuple[Limit, ...] = (),
    kind: Literal["lines", "stack"] = "lines",
) -> Iterator[Panel]:
    """The panel, or nothing if there are no values for it."""
    known = [{label: curve for label, curve in level.items() if _is_known(curve)} for level in levels]
    if any(known):
        yield Panel(group, title, unit, known, limits, kind)


def _ranked(levels: Levels) -> Levels:
    """The same levels with the largest curves first, "other" last, and a bounded number of labels."""
    totals: dict[str, float] = {}
    for level in levels:
        for label, curve in level.items():
            totals[label] = max(totals.get(label, 0.0), _mean(curve.series) * curve.factor)
    ranked = sorted(totals, key=lambda label: (label == "other", -totals[label], label))
    kept = ranked[:_MAX_LABELS]
    if ranked and ranked[-1] == "other" and "other" not in kept:
        kept[-1] = "other"
    return [{label: level[label] for label in kept if label in level} for level in levels]


def _limit(changes: Sequence[KeptSettings], setting: str, label: str) -> Limit:
    """The limit that was in force at each time; no steps if there is no such setting."""
    steps: list[tuple[float, float | None]] = []
    for change in changes:
        value = getattr(change.settings, setting, None)
        if not steps or steps[-1][1] != value:
            steps.append((change.at, value))
    return Limit(label, tuple(steps))


def _traffic(series: Mapping[str, Series]) -> float:
    return sum(_mean(series[key]) for key in ("tx_mbps", "rx_mbps") if key in series)


def _mean(series: Series) -> float:
    """The mean of the known values; 0 if there are none."""
    known = [value for value in series.average if value is not None]
    return sum(known) / len(known) if known else 0.0


def _is_known(curve: Curve) -> bool:
    return any(value is not None for value in curve.series.highest)


def _any(series: Series) -> bool:
    return any(series.highest)
