"""Writes checks into the file of a history, each in a transaction of its own.

Guarantees: after `Store.add` has returned, the check is in the file even if the process is killed. A reader
does not block the writer. No call waits longer than `_BUSY_S` for another writer.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from network_health.history import retention, schema
from network_health.history.alert_rows import AlertRows
from network_health.history.file_access import identity, lock, require_writable
from network_health.history.kept import HistoryError
from network_health.history.masking import forget, mask_earlier
from network_health.history.rows import CheckRows, check_rows
from network_health.history.schema import CHECKS, SUBJECTS, SUMMARIES, Level
from network_health.history.summaries import by_name, summary
from network_health.reporting import Report
from network_health.settings import Settings

_BUSY_S = 0.1
#: They may have addresses, or the name of a user.
_PLACES = frozenset({"prometheus_listen", "prometheus_textfile", "history"})
_SEVERITIES = ("INFO", "WARNING", "CRITICAL")
#: Less than the default of 1,000 pages, so that a small history stays small.
_WAL_PAGES = 250


class Store:
    """The file of a history, open for writing; used by one thread.

    Args:
        path: the file, created if it is missing; its folder exists.
        max_bytes: how large it may be.

    Raises:
        HistoryError: the file must not be opened, or is not a history of this version.
        OSError: it cannot be created.
        sqlite3.Error: it is damaged, or cannot be opened now.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        require_writable(path)
        self.path, self.max_bytes = path, max_bytes
        self._identity = identity(path)
        self._lock = lock(path)
        try:
            self._db = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self._db.close()
                raise
        except BaseException:
            self._lock.close()
            raise

    def _prepare(self) -> None:
        db = self._db
        version = _version(db, self.path)
        if version == 0:
            db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA secure_delete = ON")
        beside = min(_WAL_PAGES, self.max_bytes // 8 // 4096)
        db.execute(f"PRAGMA wal_autocheckpoint = {beside}")
        db.execute(f"PRAGMA journal_size_limit = {beside * 4096}")
        if version < schema.VERSION:
            with _Transaction(db):
                schema.upgrade(db, version)
        self._next = {
            CHECKS: 1 + max(_last(db, "checks", "sequence"), _last(db, "five_minutes", "last_check"))
        }
        self._open: dict[Level, tuple[int, float] | None] = {}
        for level in SUMMARIES:
            self._next[level] = 1 + _last(db, level.table, "sequence")
            first = 1 + _last(db, level.table, "last_check")
            row = db.execute(
                "SELECT sequence, at FROM checks WHERE sequence >= ? LIMIT 1", (first,)
            ).fetchone()
            self._open[level] = row and (row[0], row[1] // level.period_s)
        self._alerts = AlertRows(db)
        last = db.execute("SELECT settings FROM settings ORDER BY sequence DESC LIMIT 1").fetchone()
        self._settings: str | None = last and last[0]
        self._masked = set(json.loads(last[0]).get("redact", ())) if last else None

    @property
    def is_current(self) -> bool:
        """Whether the path still leads to the file that is open."""
        return identity(self.path) == self._identity

    def add(self, report: Report, settings: Settings) -> None:
        """Keep one check, and the settings that were in force.

        Raises:
            sqlite3.Error: nothing was written.
        """
        self.add_rows(check_rows(report), settings)

    def add_rows(self, rows: CheckRows, settings: Settings) -> None:
        """As `add`, with the rows of a report."""
        sequence, db = self._next[CHECKS], self._db
        opened = dict(self._open)
        next_before, settings_before = dict(self._next), self._settings
        try:
            with _Transaction(db):
                for level in SUMMARIES:
                    self._close_period(level, sequence, rows.at)
                db.execute(schema.insert("checks", schema.period_columns(CHECKS)), (sequence, *rows.period))
                for subjects in SUBJECTS:
                    db.executemany(
                        _INSERT_SUBJECT[subjects.name],
                        [(sequence, *row) for row in rows.subjects[subjects.name]],
                    )
                self._alerts.write(rows)
                is_new_mask = self._masked is not None and not self._masked.issuperset(settings.redact)
                if is_new_mask:
                    mask_earlier(db, settings.redact)
                self._keep_settings(rows.at, settings)
                retention.remove_expired(db, min(rows.at, self._at_before(sequence, rows.at)))
                retention.remove_oldest(db, self.max_bytes)
        except BaseException:
            self._open, self._next, self._settings = opened, next_before, settings_before
            self._alerts = AlertRows(db)
            raise
        self._next[CHECKS] = sequence + 1
        self._masked = set(settings.redact)
        if is_new_mask:
            forget(db)
        retention.shrink(db, self.max_bytes)

    def _at_before(self, sequence: int, at: float) -> float:
        """The time of the check before: a clock that is wrong for one check makes nothing expire."""
        row = self._db.execute(
            "SELECT at FROM checks WHERE sequence < ? ORDER BY sequence DESC LIMIT 1", (sequence,)
        )
        return float((row.fetchone() or (at,))[0])

    def close(self) -> None:
        """Close the file."""
        try:
            self._db.close()
        finally:
            self._lock.close()

    def _close_period(self, level: Level, sequence: int, at: float) -> None:
        """Write the summary of the checks before ``sequence``, if a new period begins with it."""
        period, opened = at // level.period_s, self._open[level]
        if opened is None or opened[1] != period:
            if opened is not None:
                self._summarize(level, opened[0], sequence - 1, opened[1] * level.period_s)
            self._open[level] = sequence, period

    def _summarize(self, level: Level, first: int, last: int, at: float) -> None:
        db, number = self._db, self._next[level]
        hosts = db.execute(_SELECT_HOST, (first, last)).fetchall()
        if not hosts:  # they are deleted, for want of space
            return
        statuses, severities, *_ = zip(*hosts, strict=True)
        status = min(statuses, key=("network_issue", "check_failed", "healthy").index)
        severity = max(severities, key=_SEVERITIES.index)
        values = summary([row[2:] for row in hosts])
        row = number, at, len(hosts), status, severity, first, last, *values
        db.execute(schema.insert(level.table, schema.period_columns(level)), row)
        for subjects in SUBJECTS:
            rows = by_name(db.execute(_SELECT_SUBJECTS[subjects.name], (first, last)))
            statement = schema.insert(
                f"{level.table}_{subjects.name}", schema.subject_columns(level, subjects)
            )
            db.executemany(statement, [(number, *each) for each in rows])
        self._next[level] = number + 1

    def _keep_settings(self, at: float, settings: Settings) -> None:
        text = json.dumps(changed_settings(settings))
        if text != self._settings:
            self._db.execute("INSERT INTO settings (at, settings) VALUES (?, ?)", (at, text))
            self._settings = text


_INSERT_SUBJECT = {
    each.name: schema.insert(f"checks_{each.name}", schema.subject_columns(CHECKS, each)) for each in SUBJECTS
}
_SELECT_HOST = f"SELECT status, severity, {', '.join(schema.HOST)} FROM checks WHERE sequence BETWEEN ? AND ?"
_SELECT_SUBJECTS = {
    each.name: (
        f"SELECT name, {', '.join(each.metrics)} FROM checks_{each.name} "
        "WHERE sequence BETWEEN ? AND ? ORDER BY name"
    )
    for each in SUBJECTS
}


def changed_settings(settings: Settings) -> Mapping[str, Any]:
    """The settings that differ from the defaults, but not where the agent listens and writes."""
    return {
        field.name: value
        for field in fields(settings)
        if (value := getattr(settings, field.name)) != field.default and field.name not in _PLACES
    }


def _version(db: sqlite3.Connection, path: Path) -> int:
    """The version of the schema; 0 for an empty file.

    Raises:
        HistoryError: it is a file of another program, or of a newer version.
    """
    application = db.execute("PRAGMA application_id").fetchone()[0]
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    is_empty = not db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != schema.APPLICATION_ID and not is_empty:
        raise HistoryError(f"{path} is a database of another program: give the path of a history")
    if version > schema.VERSION:
        raise HistoryError(
            f"{path} was written by a newer version of this package (its schema is {version}, "
            f"this one reads up to {schema.VERSION}): update the package, or give another path"
        )
    return 0 if is_empty else version


def _last(db: sqlite3.Connection, table: str, column: str) -> int:
    row = db.execute(f"SELECT {column} FROM {table} ORDER BY sequence DESC LIMIT 1").fetchone()
    return row[0] if row else 0


class _Transaction:
    """Commits at its end, or rolls back what has failed."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        if kind is None:
            self._db.execute("COMMIT")
        elif self._db.in_transaction:
            self._db.execute("ROLLBACK")
