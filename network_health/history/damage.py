"""Finds out whether values of a history are none that an agent writes: of other types, or out of range.

SQLite keeps any type in any column, and finds only some of the damage to a file by itself. This reads the
whole file: it is for a reader that has failed, to tell a damaged file from a fault of this program.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from network_health.history import schema
from network_health.history.schema import LEVELS, SUBJECTS

#: The end of the year 9998, as far as every time zone can write.
LAST_TIME = 253370764800
#: More than any counter of the kernel; sums and products of it are finite.
_HIGHEST = 1e20
_TIMES = frozenset({"at", "began", "ended"})
_TEXTS = frozenset(
    {"status", "severity", "failures", "name", "operstate", "kind", "check_name", "subject", "aspect"}
    | {"end_reason", "details", "culprits", "settings"}
)
#: What every row of these columns has; metrics can be unknown.
_ALWAYS = frozenset(
    {"at", "status", "severity", "name", "checks", "first_check", "last_check", "check_name", "subject"}
    | {"aspect", "began", "value", "highest", "limit_value", "details", "settings"}
)


def find_damage(db: sqlite3.Connection) -> str | None:
    """What is wrong with the file, or ``None``."""
    try:
        (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            return " ".join(str(found).split())
        for table, columns in _columns():
            tests = ", ".join(f"max({_is_wrong(column)})" for column in columns)
            row = db.execute(f"SELECT {tests} FROM {table}").fetchone()
            for column, is_wrong in zip(columns, row, strict=True):
                if is_wrong:
                    return f"the column {column} of {table} has values that no agent writes"
    except sqlite3.Error as error:
        return str(error)
    return None


def _columns() -> Iterator[tuple[str, tuple[str, ...]]]:
    for level in LEVELS:
        yield level.table, schema.period_columns(level)
        for subjects in SUBJECTS:
            yield f"{level.table}_{subjects.name}", schema.subject_columns(level, subjects)
    yield "alerts", schema.ALERT
    yield "settings", ("at", "settings")


def _is_wrong(column: str) -> str:
    """The condition in SQL; its result is null for null."""
    if column in _TEXTS:
        wrong = f"typeof({column}) != 'text'"
    else:
        low, high = (0, LAST_TIME) if column in _TIMES else (-_HIGHEST, _HIGHEST)
        wrong = f"typeof({column}) NOT IN ('integer', 'real') OR {column} NOT BETWEEN {low} AND {high}"
    missing = int(column in _ALWAYS)
    return f"CASE WHEN {column} IS NULL THEN {missing} ELSE {wrong} END"
