"""Makes the snapshots of kept checks and summaries, as alerting takes them.

Guarantees: what was unknown to a check is unknown in its snapshot. The share of bytes to one address that are
sent again is not kept: it is unknown.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import Any

from network_health.history.kept import KeptCheck
from network_health.history.schema import (
    CHECKS,
    COLLECTORS,
    CONTAINERS,
    COUNTS,
    INTERFACES,
    PROCESSES,
    RATES,
    SHARES,
    STATES,
    Level,
    Subjects,
    period_columns,
    subject_columns,
)
from network_health.model import (
    Connections,
    Cost,
    Counters,
    Failure,
    Interface,
    Link,
    Namespace,
    Namespaces,
    PortUse,
    ProcessSample,
    Protocols,
    RankedProcess,
    Share,
    Snapshot,
)

_Rows = Generator[tuple[int, list[sqlite3.Row]], None, None]


def kept_checks(
    db: sqlite3.Connection,
    level: Level,
    sequences: tuple[int, int],
    times: tuple[float, float],
    interval_s: float,
) -> Iterator[KeptCheck]:
    """The checks or summaries of one level, in the order in which they were made."""
    rows = _query(db, level.table, _columns(level, period_columns(level)), level.table, sequences, times)
    subjects = [_subjects(db, level, each, sequences, times) for each in (INTERFACES, PROCESSES, CONTAINERS)]
    with contextlib.ExitStack() as opened:  # an error must not leave a query open after its file is closed
        opened.callback(rows.close)
        for query in subjects:
            opened.callback(query.close)
        waiting = [next(each, None) for each in subjects]
        for row in rows:
            found: list[Sequence[sqlite3.Row]] = [(), (), ()]
            for number, each in enumerate(waiting):
                if each is not None and each[0] == row["sequence"]:
                    found[number] = each[1]
                    waiting[number] = next(subjects[number], None)
            snapshot = _snapshot(row, *found, window_s=interval_s if level is not CHECKS else None)
            yield KeptCheck(
                row["at"],
                snapshot,
                is_summary=level is not CHECKS,
                period_s=level.period_s or interval_s,
                status=row["status"],
                severity=row["severity"],
            )


def _columns(level: Level, columns: Sequence[str]) -> str:
    """The columns, of a summary the highest values under the names of their metrics."""
    if level is CHECKS:
        return ", ".join(f"t.{column}" for column in columns)
    names = {*columns}
    return ", ".join(
        f"t.{column}_highest AS {column}" if f"{column}_highest" in names else f"t.{column}"
        for column in columns
        if not column.endswith(("_highest", "_p95"))
    )


def _query(
    db: sqlite3.Connection,
    table: str,
    columns: str,
    periods: str,
    sequences: tuple[int, int],
    times: tuple[float, float],
) -> Generator[sqlite3.Row, None, None]:
    cursor = db.cursor()
    cursor.row_factory = sqlite3.Row
    joined = (
        f"{table} t" if table == periods else f"{periods} p CROSS JOIN {table} t ON t.sequence = p.sequence"
    )
    period = "t" if table == periods else "p"
    yield from cursor.execute(
        f"SELECT {columns} FROM {joined} WHERE {period}.sequence BETWEEN ? AND ? "
        f"AND +{period}.at >= ? AND +{period}.at < ? ORDER BY {period}.sequence",
        (*sequences, *times),
    )


def _subjects(
    db: sqlite3.Connection,
    level: Level,
    subjects: Subjects,
    sequences: tuple[int, int],
    times: tuple[float, float],
) -> _Rows:
    columns = _columns(level, subject_columns(level, subjects))
    rows = _query(db, f"{level.table}_{subjects.name}", columns, level.table, sequences, times)
    for sequence, group in groupby(rows, itemgetter("sequence")):
        yield sequence, list(group)


def _snapshot(
    row: sqlite3.Row,
    interfaces: Sequence[sqlite3.Row],
    processes: Sequence[sqlite3.Row],
    containers: Sequence[sqlite3.Row],
    *,
    window_s: float | None,
) -> Snapshot:
    """The snapshot of a check; or of a summary, with the counts of single checks, each of ``window_s``."""
    is_summary = window_s is not None
    has = _known(row, interfaces, containers) if is_summary else row
    interface = partial(_summarized_interface, window_s=window_s) if is_summary else _interface
    failures = () if is_summary or not row["failures"] else json.loads(row["failures"])
    return Snapshot(
        timestamp=row["at"],
        interfaces=tuple(map(interface, interfaces)) if has["has_interfaces"] else None,
        connections=_connections(row) if has["has_connections"] else None,
        top_processes=tuple(map(_process, processes)),
        failures=tuple(Failure(collector, reason) for collector, reason in failures),
        cost=Cost(
            row["total_ms"] or 0.0,
            {name: row[f"{name}_ms"] for name in COLLECTORS if row[f"{name}_ms"] is not None},
            {},
        ),
        protocols=_protocols(row) if has["has_protocols"] else None,
        namespaces=_namespaces(containers, has["all_namespaces"]) if has["has_namespaces"] else None,
    )


def _known(row: sqlite3.Row, interfaces: Sequence[object], containers: Sequence[object]) -> Mapping[str, Any]:
    """Which parts a summary has."""
    return {
        "has_interfaces": bool(interfaces),
        "has_connections": row["total"] is not None,
        "has_protocols": any(row[name] is not None for name in RATES),
        "has_namespaces": bool(containers),
        "all_namespaces": False,
    }


def _connections(row: sqlite3.Row) -> Connections:
    """The states with sockets; of a summary only the total, whose states can have different maxima."""
    states = {state: row[column] for state, column in STATES.items() if row[column]}
    total = row["total"]
    return Connections(states if sum(states.values()) == total else {"OTHER": total})


def _protocols(row: sqlite3.Row) -> Protocols:
    conntrack, orphans, memory, ports = (_share(row[f"{name}_percent"]) for name in SHARES)
    return Protocols(
        **{name: row[name] for name in RATES},
        conntrack=conntrack,
        orphans=orphans,
        tcp_memory=memory,
        busiest_ports=None if ports is None else PortUse("*", "*", 0, ports),
    )


def _share(percent: float | None) -> Share | None:
    """A share with this percentage, which has two decimals."""
    return None if percent is None else Share(round(percent * 100), 10000)


def _interface(row: sqlite3.Row) -> Interface:
    errors = row["total_tx_errors"], row["total_rx_errors"], row["total_drops"]
    counters = None
    if errors[0] is not None:
        counters = Counters(tx_errors=errors[0], rx_errors=errors[1], rx_drops=errors[2])
    link = Link(
        row["name"],
        up=bool(row["up"]),
        index=row["ifindex"],
        speed_mbps=row["speed_mbps"],
        counters=counters,
        kind=row["kind"],
        operstate=row["operstate"],
        carrier_changes=row["carrier_changes"],
    )
    return _rated(row, link)._replace(
        counters_reset=bool(row["counters_reset"]),
        since_boot=bool(row["since_boot"]),
        window_s=row["window_s"],
    )


def _summarized_interface(row: sqlite3.Row, window_s: float | None) -> Interface:
    """The lifetime counters are not in a summary: those since the check before stand for them."""
    counters = None
    if row["errors"] is not None and row["drops"] is not None:
        counters = Counters(
            tx_errors=row["tx_errors"] or 0, rx_errors=row["rx_errors"] or 0, rx_drops=row["drops"]
        )
    return _rated(row, Link(row["name"], up=not row["down"], counters=counters))._replace(window_s=window_s)


def _rated(row: sqlite3.Row, link: Link) -> Interface:
    return Interface(
        link,
        row["tx_mbps"],
        row["rx_mbps"],
        **{f"new_{name}": row[name] for name in COUNTS},
        tx_peak_mbps=row["tx_peak_mbps"],
        rx_peak_mbps=row["rx_peak_mbps"],
    )


def _process(row: sqlite3.Row) -> RankedProcess:
    memory = row["rss_mb"]
    rss_bytes = None if memory is None else round(memory * 1024**2)
    return RankedProcess(ProcessSample(0, row["name"], 0.0, None, rss_bytes), row["cpu_percent"])


def _namespaces(rows: Sequence[sqlite3.Row], is_whole: int) -> Namespaces:
    entries = (Namespace(0, 0, tcp=row["tcp"], udp=row["udp"], label=row["name"]) for row in rows)
    ordered = sorted(entries, key=lambda each: -(each.total or 0))
    return Namespaces(tuple(ordered), is_whole=bool(is_whole))
