"""Removes what is too old, and the oldest if the file is too large; a bounded part of it with each check."""

from __future__ import annotations

import sqlite3
import time

from network_health.history.schema import CHECKS, FIVE_MINUTES, HOURS, LEVELS, SUBJECTS, Level

#: Expired periods of each level that one check removes; one or two expire in that time.
_AT_ONCE = 4
#: How long one check removes old rows, and how many pages it gives back to the disk.
_BUDGET_S, _PAGES = 0.05, 500
_PAGE = 4096
_BESIDE = 75
#: The newest checks are kept for the summary of the hour, as long as there are summaries to remove.
_NEWEST_CHECKS = 120


def remove_expired(db: sqlite3.Connection, now: float) -> None:
    """Remove periods that are older than their level keeps them, in the transaction that is open."""
    for level in LEVELS:
        rows = db.execute(
            f"SELECT sequence FROM {level.table} WHERE at < ? ORDER BY at LIMIT {_AT_ONCE}",
            (now - level.keep_s,),
        ).fetchall()
        for (sequence,) in rows:
            _remove(db, level, sequence, sequence)
    if rows:  # an hour has expired
        db.execute("DELETE FROM alerts WHERE ended < ?", (now - HOURS.keep_s,))


def remove_oldest(db: sqlite3.Connection, max_bytes: int) -> None:
    """Remove the oldest rows while the file has more than ``max_bytes``, in the transaction that is open."""
    limit = _pages(max_bytes)
    until_s = time.monotonic() + _BUDGET_S
    while _used_pages(db) > limit and time.monotonic() < until_s:
        if not _remove_some(db):
            return


def shrink(db: sqlite3.Connection, max_bytes: int) -> None:
    """Give free pages back to the disk, if the file has more than ``max_bytes``."""
    if _value(db, "page_count") > _pages(max_bytes):
        # One step of this statement gives back one page; only executescript makes all steps.
        db.executescript(f"PRAGMA incremental_vacuum({_PAGES})")


def _remove_some(db: sqlite3.Connection) -> bool:
    """Remove some of the oldest checks, else summaries of five minutes, else of hours; false if none."""
    for level, kept in ((CHECKS, _NEWEST_CHECKS), (FIVE_MINUTES, 12), (HOURS, 1), (CHECKS, 1)):
        first, last = db.execute(f"SELECT min(sequence), max(sequence) FROM {level.table}").fetchone()
        if first is not None and last - first >= kept:
            _remove(db, level, first, min(first + 9, last - kept))
            return True
    return bool(
        db.execute(
            "DELETE FROM alerts WHERE id IN (SELECT id FROM alerts WHERE ended IS NOT NULL LIMIT 10)"
        ).rowcount
    )


def _remove(db: sqlite3.Connection, level: Level, first: int, last: int) -> None:
    for table in (level.table, *(f"{level.table}_{subjects.name}" for subjects in SUBJECTS)):
        db.execute(f"DELETE FROM {table} WHERE sequence BETWEEN ? AND ?", (first, last))


def _pages(max_bytes: int) -> int:
    """The pages of the file; an eighth of the space or more is for those that SQLite writes beside it."""
    return max_bytes // _PAGE - max(max_bytes // 8 // _PAGE, _BESIDE)


def _used_pages(db: sqlite3.Connection) -> int:
    return _value(db, "page_count") - _value(db, "freelist_count")


def _value(db: sqlite3.Connection, pragma: str) -> int:
    value: int = db.execute(f"PRAGMA {pragma}").fetchone()[0]
    return value
