"""Converts a report to the rows of its check. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from network_health.alerting import Alert, ResolvedAlert
from network_health.history.schema import COLLECTORS, CONTAINERS, INTERFACES, PROCESSES, RATES, SHARES, STATES
from network_health.model import Connections, Cost, Interface, Namespaces, Protocols
from network_health.reporting import Report, safe_text

Row = tuple[Any, ...]

#: Of processes and containers the ones with the highest values are kept.
MAX_PROCESSES, MAX_CONTAINERS = 20, 100
#: Names are chosen by users; those of the kernel are far shorter.
_MAX_NAME = 100
_MBPS = 1e6 / 8
#: As alerting has it: a link in one of these states is down, whatever its UP flag says.
_NOT_UP = frozenset({"down", "lowerlayerdown", "notpresent"})

_RATES = attrgetter(*RATES)
_SHARES = attrgetter(*SHARES)


@dataclass(frozen=True, slots=True)
class CheckRows:
    """The rows of one check without their sequence: that of the check, and those of its subjects by kind.

    ``alerts``, ``resolved`` and ``culprits`` are those of the report.
    """

    at: float
    period: Row
    subjects: Mapping[str, list[Row]]
    alerts: tuple[Alert, ...]
    resolved: tuple[ResolvedAlert, ...]
    culprits: Mapping[str, Any]

    @property
    def count(self) -> int:
        """How many rows there are."""
        return 1 + sum(map(len, self.subjects.values()))


def check_rows(report: Report) -> CheckRows:
    """The rows of a report, in the order of the columns of `schema`."""
    failures = [[failure.collector, failure.reason[:200]] for failure in report.failures]
    protocols, namespaces = report.protocols, report.namespaces
    period = (
        report.timestamp,
        report.status,
        report.severity,
        safe_text(json.dumps(failures)) if failures else None,
        int(report.interfaces is not None),
        int(report.connections is not None),
        int(protocols is not None),
        int(namespaces is not None),
        None if namespaces is None else int(namespaces.is_whole),
        *_costs(report.cost),
        *_states(report.connections),
        *_protocols(protocols),
    )
    subjects = {
        INTERFACES.name: [_interface(each) for each in report.interfaces or ()],
        PROCESSES.name: _processes(report),
        CONTAINERS.name: _containers(namespaces),
    }
    return CheckRows(report.timestamp, period, subjects, report.alerts, report.resolved, report.culprits)


def _costs(cost: Cost | None) -> Row:
    if cost is None:
        return (None,) * (1 + len(COLLECTORS))
    parts = cost.collectors_ms
    return round(cost.total_ms, 2), *(round(parts[n], 2) if n in parts else None for n in COLLECTORS)


def _states(connections: Connections | None) -> Row:
    if connections is None:
        return (None,) * (1 + len(STATES))
    counts = connections.by_status
    other = sum(count for state, count in counts.items() if state not in STATES)
    known = [counts.get(state, 0) for state in STATES if state != "OTHER"]
    return connections.total, *known, other


def _protocols(protocols: Protocols | None) -> Row:
    if protocols is None:
        return (None,) * (len(RATES) + len(SHARES))
    conntrack, orphans, memory, ports = _SHARES(protocols)
    shares = conntrack, orphans, memory, ports and ports.ports
    return *_RATES(protocols), *(None if share is None else share.percent for share in shares)


def _interface(interface: Interface) -> Row:
    link, counters = interface.link, interface.link.counters
    sent, received = interface.new_tx_errors, interface.new_rx_errors
    return (
        safe_text(link.name),
        interface.tx_mbps,
        interface.rx_mbps,
        interface.tx_peak_mbps,
        interface.rx_peak_mbps,
        None if sent is None or received is None else sent + received,
        interface.new_drops,
        int(not link.up or link.operstate in _NOT_UP),
        sent,
        received,
        interface.new_tx_drops,
        interface.new_rx_drops,
        interface.new_rx_missed,
        interface.new_tx_packets,
        interface.new_rx_packets,
        int(link.up),
        link.operstate,
        link.kind,
        link.speed_mbps,
        link.index,
        link.carrier_changes,
        int(interface.counters_reset),
        int(interface.since_boot),
        interface.window_s,
        counters and counters.tx_errors,
        counters and counters.rx_errors,
        counters and counters.drops,
    )


def _processes(report: Report) -> list[Row]:
    """Processes of one name and place are one row: pids change, and say nothing a day later."""
    places: dict[int | None, str] = {}
    rows: dict[str, list[float | None]] = {}
    for entry in report.metrics.get("top_network", ()):
        if entry["pid"] is None:
            continue
        name = places[entry["pid"]] = _label(entry["name"] or f"pid {entry['pid']}", entry)
        row = rows.setdefault(name, [None] * 4)
        row[2] = (row[2] or 0) + entry["net_tx_mbps"] * _MBPS
        row[3] = (row[3] or 0) + entry["net_rx_mbps"] * _MBPS
    for process in report.processes or ():
        sample = process.sample
        name = places.get(sample.pid) or _label(process.details.name or sample.name, {})
        row = rows.setdefault(name, [None] * 4)
        row[0] = _sum(row[0], process.cpu_percent)
        row[1] = _sum(row[1], None if sample.rss_bytes is None else round(sample.rss_bytes / 1024**2, 1))
    ranked = sorted(rows.items(), key=lambda item: _weight(item[1]), reverse=True)
    return [(name, *row) for name, row in ranked[:MAX_PROCESSES]]


def _weight(row: list[float | None]) -> tuple[float, float]:
    cpu, memory, sent, received = (value or 0 for value in row)
    return max(cpu, (sent + received) / _MBPS), memory


def _sum(known: float | None, value: float | None) -> float | None:
    return known if value is None else round((known or 0) + value, 2)


def _label(name: str, entry: Mapping[str, Any]) -> str:
    place = entry.get("container") or entry.get("unit") or entry.get("namespace")
    return safe_text(f"{name[:_MAX_NAME]} ({place[:_MAX_NAME]})" if place else name[:_MAX_NAME])


def _containers(namespaces: Namespaces | None) -> list[Row]:
    entries = namespaces.entries[:MAX_CONTAINERS] if namespaces else ()
    rows = {safe_text(n.label[: 2 * _MAX_NAME]): (n.total, n.tcp, n.udp) for n in entries}
    return [(name, *counts) for name, counts in rows.items()]
