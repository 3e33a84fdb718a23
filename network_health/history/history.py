"""Reads a history, also while an agent writes it."""

from __future__ import annotations

import json
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from network_health.history import schema
from network_health.history.damage import LAST_TIME, find_damage
from network_health.history.file_access import parts
from network_health.history.kept import HistoryError, KeptAlert, KeptCheck, KeptSettings, Series
from network_health.history.replay import kept_checks
from network_health.history.series import (
    Range,
    as_series,
    choose_range,
    kept_times,
    levels_of_range,
    read_values,
    sum_of,
)
from network_health.settings import Settings, SettingsOutcome

_SERIES_OF_INTERFACES = ("tx_mbps", "rx_mbps", "tx_peak_mbps", "rx_peak_mbps", "errors", "drops", "down")
#: A reader waits this long for a writer that holds the file alone.
_BUSY_S = 5.0
#: What SQLite, and what is done with its values, raises about a damaged file.
_DAMAGE = (sqlite3.Error, ValueError, TypeError, KeyError, IndexError, OverflowError)


class History:
    """The checks and alerts of one file; use `History.open`, and close it or use it in a ``with`` block.

    Times are epoch seconds; a range begins at ``since`` and ends before ``until``.
    """

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db, self.path = db, path

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> History:
        """Open a file for reading; nothing in it is changed.

        Raises:
            HistoryError: there is no such file, or it is not a history that this version reads.
        """
        path = Path(path)
        try:
            found = os.stat(path)
        except OSError as error:
            raise HistoryError(f"{path}: there is no history ({error.strerror})") from error
        if not stat.S_ISREG(found.st_mode):
            raise HistoryError(f"{path} is not a regular file: give the file of a history")
        history = cls(_connect(path), path)
        try:
            history._require_history()
        except HistoryError:
            history.close()
            raise
        return history

    def _require_history(self) -> None:
        application, self.schema_version = (
            self._rows(f"PRAGMA {name}")[0][0] for name in ("application_id", "user_version")
        )
        if application != schema.APPLICATION_ID:
            what = "empty" if not self._rows("SELECT 1 FROM sqlite_master") else "not a history"
            raise HistoryError(f"{self.path} is {what}: give a file that the setting history has written")
        if self.schema_version != schema.VERSION:
            raise HistoryError(
                f"{self.path} has schema version {self.schema_version}, but this version of the package "
                f"reads {schema.VERSION}: read it with the version that wrote it"
            )

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def find_damage(self) -> str | None:
        """Read the whole file: what is wrong with it, or ``None``; for a reader that has failed."""
        return find_damage(self._db)

    @property
    def size_bytes(self) -> int:
        """The size of the file, with what SQLite keeps beside it while it is written."""
        return sum(part.stat().st_size for part in parts(self.path) if part.exists())

    @property
    def first_at(self) -> float | None:
        """The earliest check, or begin of a summary of checks no longer kept; ``None`` if there is none."""
        with self._readable():
            kept = kept_times(self._db)
        return kept and self._time(kept[0])

    @property
    def last_at(self) -> float | None:
        """The time of the check that was made last; ``None`` if there is none."""
        for level in schema.LEVELS:
            rows = self._rows(f"SELECT at FROM {level.table} ORDER BY sequence DESC LIMIT 1")
            if rows:
                return self._time(rows[0][0])
        return None

    def _time(self, at: object) -> float:
        if not isinstance(at, (int, float)) or not 0 <= at <= LAST_TIME:
            raise HistoryError(f"{self.path} cannot be read as a history: a check has no valid time")
        return float(at)

    @property
    def interval_s(self) -> float:
        """The interval between checks that was set last."""
        rows = self._rows("SELECT settings FROM settings ORDER BY sequence DESC LIMIT 1")
        return float(_settings(rows[0][0]).check_interval_sec if rows else Settings().check_interval_sec)

    def limits(self, since: float, until: float) -> tuple[KeptSettings, ...]:
        """The settings in force at ``since``, and each change before ``until``."""
        rows = self._rows("SELECT at, settings FROM settings WHERE at < ? ORDER BY sequence", (until,))
        begin = max((number for number, row in enumerate(rows) if row[0] <= since), default=0)
        return tuple(KeptSettings(at, _settings(text)) for at, text in rows[begin:])

    def alerts(self, since: float, until: float, interface: str | None = None) -> tuple[KeptAlert, ...]:
        """The alerts that were active in the range, or only those of ``interface``; the earliest first."""
        condition, parameters = "began < ? AND (ended IS NULL OR ended >= ?)", [until, since]
        if interface is not None:
            condition += " AND subject = ?"
        rows = self._rows(
            f"SELECT {', '.join(schema.ALERT)} FROM alerts WHERE {condition} ORDER BY began, id",
            (*parameters, *([] if interface is None else [interface])),
        )
        return tuple(KeptAlert(*(*before, _json(culprits), checks)) for *before, culprits, checks in rows)

    def interfaces(
        self, since: float, until: float, points: int = 1500
    ) -> Mapping[str, Mapping[str, Series]]:
        """By interface: its rates, their peaks (Mbps), errors, drops, and down (1 while it was down)."""
        return self._by_subject(schema.INTERFACES, _SERIES_OF_INTERFACES, since, until, points)

    def containers(
        self, since: float, until: float, points: int = 1500
    ) -> Mapping[str, Mapping[str, Series]]:
        """By container or service: its sockets, as total, tcp and udp."""
        return self._by_subject(schema.CONTAINERS, schema.CONTAINERS.metrics, since, until, points)

    def processes(
        self, since: float, until: float, points: int = 1500, count: int = 10
    ) -> Mapping[str, Mapping[str, Series]]:
        """The ``count`` busiest processes of the range, by name and place; the others together as "other".

        A process has a value only in the periods in which it was among the busiest of a check.
        """
        wanted = self._range(since, until, points)
        metrics = schema.PROCESSES.metrics
        with self._readable():
            values = read_values(self._db, wanted, metrics, schema.PROCESSES)

        def weight(name: str) -> float:
            parts = ((each, values[name][each].values()) for each in metrics if each != "rss_mb")
            # A percent of a CPU weighs as much as a Mbps.
            return sum(
                sum(n * (average or 0) for n, average, *_ in rows) / (1 if metric == "cpu_percent" else 125e3)
                for metric, rows in parts
            )

        names = sorted(values, key=weight, reverse=True)
        busiest, others = names[:count], names[count:]
        series = {name: {m: as_series(values[name][m], wanted) for m in metrics} for name in busiest}
        if others:
            sums = {m: sum_of([values[name][m] for name in others]) for m in metrics}
            series["other"] = {m: as_series(sums[m], wanted) for m in metrics}
        return series

    def connections(self, since: float, until: float, points: int = 1500) -> Mapping[str, Series]:
        """The sockets in each state that occurred, by psutil's names, and their "total"."""
        names = {"total": "total", **schema.STATES}
        found = self._of_host(tuple(names.values()), since, until, points)
        series = {state: found[column] for state, column in names.items() if column in found}
        return {state: s for state, s in series.items() if state == "total" or any(s.highest)}

    def protocols(self, since: float, until: float, points: int = 1500) -> Mapping[str, Series]:
        """The protocol metrics that were known in the range; resources as ``conntrack_percent``."""
        found = self._of_host(schema.PROTOCOLS, since, until, points)
        return {name: s for name, s in found.items() if any(value is not None for value in s.highest)}

    def cost(self, since: float, until: float, points: int = 1500) -> Mapping[str, Series]:
        """The wall time of the checks: ``total_ms``, and that of each collector, as ``interfaces_ms``."""
        found = self._of_host(schema.COSTS, since, until, points)
        return {name: s for name, s in found.items() if any(value is not None for value in s.highest)}

    def checks(self, since: float, until: float) -> Iterator[KeptCheck]:
        """The checks as they were made, the oldest first; summaries where they are all that is kept."""
        with self._readable():
            found = list(levels_of_range(self._db, schema.CHECKS))
            for level, first, last in sorted(found, key=lambda each: -each[0].period_s):
                yield from kept_checks(self._db, level, (first, last), (since, until), self.interval_s)

    def clock_set_back(self, since: float, until: float) -> tuple[tuple[float, float], ...]:
        """Where the clock was set back: the last time before it, and the first after it.

        Changes by less than a period of the level that reaches back to ``since`` are not seen.
        """
        begins = ((level, self._rows(f"SELECT min(at) FROM {level.table}")[0][0]) for level in schema.LEVELS)
        level = next((level for level, at in begins if at is not None and at <= since), schema.HOURS)
        rows = self._rows(
            f"SELECT one.at, next.at FROM {level.table} one JOIN {level.table} next "
            "ON next.sequence = one.sequence + 1 WHERE next.at < one.at AND one.at >= ? AND next.at < ?",
            (since, until),
        )
        return tuple((float(before), float(after)) for before, after in rows)

    def _by_subject(
        self, subjects: schema.Subjects, metrics: tuple[str, ...], since: float, until: float, points: int
    ) -> Mapping[str, Mapping[str, Series]]:
        wanted = self._range(since, until, points)
        with self._readable():
            values = read_values(self._db, wanted, metrics, subjects)
        return {
            name: {metric: as_series(found, wanted) for metric, found in values[name].items()}
            for name in sorted(values)
        }

    def _of_host(
        self, metrics: tuple[str, ...], since: float, until: float, points: int
    ) -> Mapping[str, Series]:
        wanted = self._range(since, until, points)
        with self._readable():
            values = read_values(self._db, wanted, metrics)
        return {metric: as_series(found, wanted) for metric, found in values.get("", {}).items()}

    def _range(self, since: float, until: float, points: int) -> Range:
        """The range without the times before and after what is kept."""
        with self._readable():
            first, last = kept_times(self._db) or (since, until)
            return choose_range(self._db, max(since, first), min(until, last + 1), points, self.interval_s)

    def _rows(self, statement: str, parameters: tuple[Any, ...] = ()) -> list[Any]:
        with self._readable():
            return self._db.execute(statement, parameters).fetchall()

    def _readable(self) -> _Readable:
        return _Readable(self.path)


class _Readable:
    """Turns the errors of SQLite into a sentence."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        if isinstance(error, _DAMAGE):
            raise HistoryError(f"{self._path} cannot be read as a history: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that only reads; to a file on a read-only disk, as long as nobody writes to it."""
    uri = path.absolute().as_uri()
    for options in ("mode=ro", "mode=ro&immutable=1"):
        db = None
        try:
            db = sqlite3.connect(f"{uri}?{options}", uri=True, timeout=_BUSY_S, isolation_level=None)
            db.execute("SELECT 1 FROM sqlite_master").fetchall()
        except _DAMAGE as error:
            if db:
                db.close()
            is_locked = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
            if "immutable" in options or is_locked or parts(path)[1].exists():
                raise HistoryError(f"{path} cannot be read as a history: {error}") from error
            continue
        return db
    raise AssertionError


def _settings(text: str) -> Settings:
    return SettingsOutcome.of(_json(text)).settings


def _json(text: str | None) -> object:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None
