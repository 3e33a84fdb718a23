"""Reads metrics over time from the level that fits the range.

The coarsest level that still gives enough points is read. What it does not have comes from the others: the
time before it from a coarser level, and the checks that are not summarized yet from a finer one. Both are
found by the numbers of the checks, not by their times, which repeat if the clock was set back.
"""

from __future__ import annotations

import math
import sqlite3
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from network_health.history.kept import Series
from network_health.history.schema import CHECKS, FIVE_MINUTES, HOURS, LEVELS, Level, Subjects

#: A level is coarse enough if it still gives a third of the points.
_SHARE = 3
#: A level, the next coarser one, and the first check that the finer one still has.
_OLDER = (
    (CHECKS, FIVE_MINUTES, "SELECT min(sequence) FROM checks"),
    (FIVE_MINUTES, HOURS, "SELECT first_check FROM five_minutes ORDER BY sequence LIMIT 1"),
)
#: Weight (number of checks), average, highest, p95.
_Value = tuple[float, float | None, float | None, float | None]
#: By subject (empty for the host) and metric: the values by the begin of their period.
Values = dict[str, dict[str, dict[float, _Value]]]


@dataclass(frozen=True, slots=True)
class Range:
    """What to read: from ``since``, before ``until``; ``step_s`` is 0 if each check is a point of its own."""

    since: float
    until: float
    step_s: float
    interval_s: float
    level: Level

    @property
    def period_s(self) -> float:
        """The time that one point covers."""
        return max(self.step_s or self.interval_s, self.level.period_s)


def choose_range(db: sqlite3.Connection, since: float, until: float, points: int, interval_s: float) -> Range:
    """The level and the step that give at most ``points`` points."""
    length_s, points = max(until - since, 1.0), max(points, 4)
    count = db.execute("SELECT count(*) FROM checks WHERE at >= ? AND at < ?", (since, until)).fetchone()[0]
    level = next(
        (each for each in (HOURS, FIVE_MINUTES) if length_s / each.period_s >= points / _SHARE), CHECKS
    )
    for finer, coarser, first in _OLDER:
        older = f"SELECT 1 FROM {coarser.table} WHERE last_check < ({first}) AND at > ? AND at < ? LIMIT 1"
        if level is finer and db.execute(older, (since - coarser.period_s, until)).fetchone():
            level = coarser  # a part of the range is only kept in longer periods
    if level is CHECKS and count <= points:
        return Range(since, until, 0.0, interval_s, level)
    # Periods begin at multiples of the step: the range can touch one more than fit into it.
    step_s = math.ceil(length_s / (points - 1))
    if level.period_s:
        step_s = math.ceil(step_s / level.period_s) * int(level.period_s)
    return Range(since, until, max(step_s, interval_s), interval_s, level)


def levels_of_range(db: sqlite3.Connection, preferred: Level) -> Iterator[tuple[Level, int, int]]:
    """(level, first sequence, last sequence) of what is read: ``preferred``, then what it does not have."""
    at = LEVELS.index(preferred)
    first_check = last_check = None
    for level in LEVELS[at:]:
        part = _part(db, level, before=first_check)
        if part:
            yield level, part.first, part.last
            first_check = part.first_check if first_check is None else min(first_check, part.first_check)
            last_check = max(last_check or 0, part.last_check)
    for level in reversed(LEVELS[:at]):
        part = _part(db, level, after=last_check)
        if part:
            yield level, part.first, part.last
            last_check = max(last_check or 0, part.last_check)


def kept_times(db: sqlite3.Connection) -> tuple[float, float] | None:
    """From the earliest check, or begin of a summary of checks that are not kept, to the end of the last.

    Raises:
        ValueError: a time is no number.
    """
    times = []
    for level, *part in levels_of_range(db, CHECKS):
        sql = f"SELECT min(at), max(at) FROM {level.table} WHERE sequence BETWEEN ? AND ?"
        found = db.execute(sql, part).fetchone()
        if not all(isinstance(at, (int, float)) for at in found):  # SQLite keeps any type in any column
            raise ValueError("a check has no valid time")
        times += [found[0], found[1] + level.period_s]
    return (min(times), max(times)) if times else None


class _Part(NamedTuple):
    """The first and last sequence of a part of a level, and the first and last check of the whole level."""

    first: int
    last: int
    first_check: int
    last_check: int


def _part(
    db: sqlite3.Connection, level: Level, before: int | None = None, after: int | None = None
) -> _Part | None:
    """What a level has ``before`` a check, or ``after`` one; ``None`` if it has nothing there."""
    first, last = db.execute(f"SELECT min(sequence), max(sequence) FROM {level.table}").fetchone()
    if first is None:
        return None
    begin, end = ("first_check", "last_check") if level.period_s else ("sequence", "sequence")
    column = f"FROM {level.table} WHERE sequence = ?"
    first_check = db.execute(f"SELECT {begin} {column}", (first,)).fetchone()[0]
    last_check = db.execute(f"SELECT {end} {column}", (last,)).fetchone()[0]
    if before is not None:
        sql = f"SELECT max(sequence) FROM {level.table} WHERE {end} < ?"
        last = db.execute(sql, (before,)).fetchone()[0]
    if after is not None:
        sql = f"SELECT min(sequence) FROM {level.table} WHERE {begin} > ?"
        first = db.execute(sql, (after,)).fetchone()[0]
    return (
        None
        if None in (first, last, first_check, last_check)
        else _Part(first, last, first_check, last_check)
    )


def read_values(
    db: sqlite3.Connection, wanted: Range, metrics: Sequence[str], subjects: Subjects | None = None
) -> Values:
    """The values of ``metrics`` in a range: of the host, or of each subject."""
    values: Values = {}
    for level, first, last in levels_of_range(db, wanted.level):
        statement = _statement(level, metrics, subjects, wanted.step_s)
        parameters = [wanted.since, wanted.until, first, last]
        for subject, at, weight, *row in db.execute(statement, parameters):
            of_subject = values.setdefault(subject, {})
            for number, metric in enumerate(metrics):
                value = (weight, *row[3 * number : 3 * number + 3])
                of_metric = of_subject.setdefault(metric, {})
                of_metric[at] = _merged(of_metric[at], value) if at in of_metric else value
    return values


def _statement(level: Level, metrics: Sequence[str], subjects: Subjects | None, step_s: float) -> str:
    prefix, columns = ("s." if subjects else "p."), []
    checks = f"{prefix}checks" if level.period_s else "1"
    for metric in metrics:
        average = f"{prefix}{metric}"
        highest, p95 = (f"{average}_highest", f"{average}_p95") if level.period_s else (average, average)
        known = f"sum(CASE WHEN {average} IS NOT NULL THEN {checks} END)"
        columns += [f"sum({average} * {checks}) * 1.0 / {known}", f"max({highest})", f"max({p95})"]
    at = f"CAST(p.at / {step_s} AS INTEGER) * {step_s}" if step_s else "p.at"
    tables = f"{level.table} p"
    if subjects:  # CROSS JOIN: the periods of the range first, then their subjects
        tables += f" CROSS JOIN {level.table}_{subjects.name} s ON s.sequence = p.sequence"
    return (
        f"SELECT {'s.name' if subjects else repr('')}, {at}, sum({checks}), {', '.join(columns)} "
        f"FROM {tables} WHERE p.at >= ? AND p.at < ? AND +p.sequence BETWEEN ? AND ? GROUP BY 1, 2"
    )


def _merged(one: _Value, other: _Value) -> _Value:
    """Two parts of one period."""
    if one[1] is None or other[1] is None:
        return other if one[1] is None else one
    weight = one[0] + other[0]
    average = (one[0] * one[1] + other[0] * other[1]) / weight
    return weight, average, max(one[2] or 0, other[2] or 0), max(one[3] or 0, other[3] or 0)


def sum_of(parts: Sequence[dict[float, _Value]]) -> dict[float, _Value]:
    """The sum of several subjects; its highest values are the highest sums of averages."""
    total: dict[float, _Value] = {}
    for part in parts:
        for at, (weight, average, *_) in part.items():
            if average is not None:
                known = total.get(at, (weight, 0.0, 0.0, 0.0))[1] or 0.0
                total[at] = weight, known + average, known + average, known + average
    return total


def as_series(values: dict[float, _Value], wanted: Range) -> Series:
    """The series of one metric, with one unknown value in each time without checks."""
    longest_s = max(1.5 * wanted.step_s, 2.5 * wanted.interval_s, 1.5 * wanted.level.period_s)
    at, rows, before = array("d"), [], None
    for now in sorted(values):
        if before is not None and now - before > longest_s:
            at.append(before + wanted.period_s)
            rows.append((None, None, None))
        at.append(now)
        rows.append(values[now][1:])
        before = now
    average, highest, p95 = zip(*rows, strict=True) if rows else ((), (), ())
    return Series(at, average, highest, p95, wanted.period_s)
