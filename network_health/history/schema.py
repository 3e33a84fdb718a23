"""Defines the tables of a history, and brings a file of an earlier version to this one.

There are three levels: each check, and summaries of five minutes and of an hour. Each level has a table with
a row for each period, which has the metrics of the host, and one for each kind of subject: interfaces,
processes, containers. ``sequence`` numbers the periods of a level as they were written: if the clock is set
back, times repeat, but sequences do not. docs/history.md describes the columns.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

#: "NetH", so that file(1) and this library tell a history from other files of SQLite.
APPLICATION_ID = 0x4E657448
VERSION = 1

COLLECTORS = ("interfaces", "connections", "processes", "protocols", "namespaces", "culprits")
#: psutil's names of the states; the column of NONE, UDP, has the name udp. Others are counted in other.
STATES = {
    name: "udp" if name == "NONE" else name.lower()
    for name in (
        *("ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE"),
        *("CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NONE", "OTHER"),
    )
}
RATES = (
    *("out_segments_per_sec", "retransmit_percent", "listen_overflows_per_sec", "listen_drops_per_sec"),
    *("syn_cookies_sent_per_sec", "syn_queue_full_cookies_per_sec", "syn_queue_full_drops_per_sec"),
    *("udp_receive_buffer_errors_per_sec", "udp_send_buffer_errors_per_sec"),
    *("softnet_dropped_per_sec", "softnet_squeezed_per_sec"),
)
SHARES = ("conntrack", "orphans", "tcp_memory", "busiest_ports")
PROTOCOLS = (*RATES, *(f"{name}_percent" for name in SHARES))
COSTS = ("total_ms", *(f"{name}_ms" for name in COLLECTORS))
HOST = (*COSTS, "total", *STATES.values(), *PROTOCOLS)
#: The counts of an `Interface` since the check before, as the history names them.
COUNTS = ("tx_errors", "rx_errors", "tx_drops", "rx_drops", "rx_missed", "tx_packets", "rx_packets")


@dataclass(frozen=True, slots=True)
class Subjects:
    """One kind of subject: its metrics, which are summarized, and what only the checks have."""

    name: str
    metrics: tuple[str, ...]
    exact: tuple[str, ...] = ()


INTERFACES = Subjects(
    "interfaces",
    ("tx_mbps", "rx_mbps", "tx_peak_mbps", "rx_peak_mbps", "errors", "drops", "down", *COUNTS),
    (
        *("up", "operstate", "kind", "speed_mbps", "ifindex", "carrier_changes", "counters_reset"),
        *("since_boot", "window_s", "total_tx_errors", "total_rx_errors", "total_drops"),
    ),
)
PROCESSES = Subjects("processes", ("cpu_percent", "rss_mb", "sent_bytes_per_s", "received_bytes_per_s"))
CONTAINERS = Subjects("containers", ("total", "tcp", "udp"))
SUBJECTS = (INTERFACES, PROCESSES, CONTAINERS)

#: What a check has beside the metrics of the host; ``has_…`` is 0 if a collector failed.
CHECK = (
    *("at", "status", "severity", "failures", "has_interfaces", "has_connections", "has_protocols"),
    *("has_namespaces", "all_namespaces"),
)
#: What a summary has beside the metrics; it covers the checks from ``first_check`` to ``last_check``.
SUMMARY = ("at", "checks", "status", "severity", "first_check", "last_check")
ALERT = (
    *("check_name", "subject", "aspect", "began", "ended", "end_reason", "severity", "value", "highest"),
    *("limit_value", "details", "culprits", "checks"),
)


@dataclass(frozen=True, slots=True)
class Level:
    """One level: its table, the length of its periods (0 for single checks), and how long they are kept."""

    table: str
    period_s: float
    keep_s: float


CHECKS = Level("checks", 0, 48 * 3600.0)
FIVE_MINUTES = Level("five_minutes", 300, 30 * 86400.0)
HOURS = Level("hours", 3600, 400 * 86400.0)
SUMMARIES = (FIVE_MINUTES, HOURS)
LEVELS = (CHECKS, *SUMMARIES)


def summarized(metrics: tuple[str, ...]) -> tuple[str, ...]:
    """The columns of a summary: for each metric the average, the highest value and the 95th percentile."""
    return tuple(f"{metric}{suffix}" for metric in metrics for suffix in ("", "_highest", "_p95"))


def period_columns(level: Level) -> tuple[str, ...]:
    """The columns of the table with one row for each period."""
    if level is CHECKS:
        return ("sequence", *CHECK, *HOST)
    return ("sequence", *SUMMARY, *summarized(HOST))


def subject_columns(level: Level, subjects: Subjects) -> tuple[str, ...]:
    """The columns of the table with a row for each subject of each period."""
    if level is CHECKS:
        return ("sequence", "name", *subjects.metrics, *subjects.exact)
    return ("sequence", "name", "checks", *summarized(subjects.metrics))


def insert(table: str, columns: tuple[str, ...]) -> str:
    """The statement that adds a row."""
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


def _tables() -> Iterator[str]:
    for level in LEVELS:
        columns = ", ".join(period_columns(level)[1:])
        yield f"CREATE TABLE {level.table} (sequence INTEGER PRIMARY KEY, {columns})"
        yield f"CREATE INDEX {level.table}_at ON {level.table} (at)"
        for subjects in SUBJECTS:
            # Without its type, SQLite would not use the key for a join.
            columns = ", ".join(subject_columns(level, subjects)[2:])
            yield (
                f"CREATE TABLE {level.table}_{subjects.name} "
                f"(sequence INTEGER, name TEXT, {columns}, PRIMARY KEY (sequence, name)) WITHOUT ROWID"
            )
    yield f"CREATE TABLE alerts (id INTEGER PRIMARY KEY, {', '.join(ALERT)})"
    yield "CREATE INDEX alerts_began ON alerts (began)"
    yield "CREATE INDEX alerts_active ON alerts (id) WHERE ended IS NULL"
    yield "CREATE TABLE settings (sequence INTEGER PRIMARY KEY, at, settings)"


#: What brings a file from each version to the next one; 0 is an empty file.
_UPGRADES: tuple[tuple[str, ...], ...] = (tuple(_tables()),)


def upgrade(connection: sqlite3.Connection, version: int) -> None:
    """Bring a file of an earlier ``version`` to this one, in the transaction that is open.

    Raises:
        sqlite3.Error: nothing has changed, once the transaction is rolled back.
    """
    for statements in _UPGRADES[version:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
