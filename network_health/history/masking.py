"""Masks what is in a history already, when the setting ``redact`` begins to name it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection

from network_health.history.schema import CONTAINERS, LEVELS, PROCESSES
from network_health.reporting import masked


def mask_earlier(db: sqlite3.Connection, what: Collection[str]) -> None:
    """Mask the sentences, the evidence and the names of the file, in the transaction that is open.

    What is overwritten is zeroed in the file; what SQLite keeps beside it is overwritten by `forget`.
    """
    alerts = db.execute("SELECT id, subject, details, culprits FROM alerts").fetchall()
    db.executemany(
        "UPDATE alerts SET subject = ?, details = ?, culprits = ? WHERE id = ?",
        [
            (masked(subject, what), masked(details, what), _masked_json(culprits, what), number)
            for number, subject, details, culprits in alerts
        ],
    )
    failures = db.execute("SELECT sequence, failures FROM checks WHERE failures IS NOT NULL").fetchall()
    db.executemany(
        "UPDATE checks SET failures = ? WHERE sequence = ?",
        [(_masked_json(text, what), sequence) for sequence, text in failures],
    )
    for table in (f"{level.table}_{each.name}" for level in LEVELS for each in (PROCESSES, CONTAINERS)):
        for (name,) in db.execute(f"SELECT DISTINCT name FROM {table}").fetchall():
            if masked(name, what) != name:
                db.execute(
                    f"UPDATE OR REPLACE {table} SET name = ? WHERE name = ?", (masked(name, what), name)
                )


def forget(db: sqlite3.Connection) -> None:
    """Write all pages into the file itself, so that no earlier one is left beside it; unless one reads."""
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _masked_json(text: str | None, what: Collection[str]) -> str | None:
    return text and json.dumps(masked(json.loads(text), what))
