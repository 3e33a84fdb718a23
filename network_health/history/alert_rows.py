"""Keeps the alerts of a history up to date: one row from the first breach to the end.

Guarantees: an alert that an agent continues after a restart stays one row. One that no later check knows ends
as ``unknown``.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from network_health.alerting import Alert
from network_health.history import schema
from network_health.history.rows import CheckRows
from network_health.reporting import safe_text

#: Characters of a sentence, and of the evidence as JSON.
_MAX_DETAILS, _MAX_CULPRITS = 2000, 4000
#: Of longer evidence, so many entries of each list are kept.
_SHORTER = 5, 2, 1
_SEVERITIES = ("WARNING", "CRITICAL")
_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Row:
    """What is in the file about an active alert; ``written`` is the count of checks there."""

    id: int
    began: float
    severity: str
    highest: float
    limit: float
    aspect: str
    has_culprits: bool
    written: int


class AlertRows:
    """The active alerts in the file.

    Raises:
        sqlite3.Error: they cannot be read.
    """

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._active: dict[_Key, _Row] = {}
        for check, subject, *values in db.execute(_SELECT):
            self._active[check, subject] = _Row(*values)

    def write(self, rows: CheckRows) -> None:
        """Apply one check, in the transaction that is open."""
        resolved = {_key(each.alert): each for each in rows.resolved}
        for alert in rows.alerts:
            key = _key(alert)
            known = self._active.get(key)
            if known and known.began != alert.since:
                self._end(key, rows.at, "unknown", known.written)
                known = None
            self._active[key] = self._update(known, alert, rows) if known else self._begin(alert, rows)
        current = set(map(_key, rows.alerts))
        for key in [key for key in self._active if key not in current]:
            end = resolved.get(key)
            if end:
                self._end(key, rows.at, end.reason, end.alert.checks)
            else:
                self._end(key, self._last_check(rows.at), "unknown", self._active[key].written)

    def _begin(self, alert: Alert, rows: CheckRows) -> _Row:
        finding, culprits = alert.finding, _culprits(alert, rows.culprits)
        row = (
            *_key(alert),
            finding.aspect,
            alert.since,
            None,
            None,
            alert.severity,
            finding.value,
            finding.value,
            finding.limit,
            _details(alert),
            culprits,
            alert.checks,
        )
        number = self._db.execute(schema.insert("alerts", schema.ALERT), row).lastrowid or 0
        return _Row(
            *(number, alert.since, alert.severity, finding.value, finding.limit, finding.aspect),
            *(culprits is not None, alert.checks),
        )

    def _update(self, known: _Row, alert: Alert, rows: CheckRows) -> _Row:
        """Write what has changed; a count of checks alone is written with every tenth."""
        finding = alert.finding
        severity = max(known.severity, alert.severity, key=_SEVERITIES.index)
        highest = max(known.highest, finding.value)
        now = replace(known, severity=severity, highest=highest, limit=finding.limit, aspect=finding.aspect)
        if highest > known.highest or not known.has_culprits:
            culprits = _culprits(alert, rows.culprits)
            if highest > known.highest or culprits is not None:
                now = replace(now, has_culprits=culprits is not None)
                self._db.execute(
                    "UPDATE alerts SET details = ?, culprits = coalesce(?, culprits) WHERE id = ?",
                    (_details(alert), culprits, known.id),
                )
        if now != known or alert.checks >= known.written + 10:
            now = replace(now, written=alert.checks)
            values = severity, highest, finding.limit, finding.aspect, alert.checks, known.id
            self._db.execute(_UPDATE, values)
        return now

    def _end(self, key: _Key, at: float, reason: str, checks: int) -> None:
        self._db.execute(_END, (at, reason, checks, self._active.pop(key).id))

    def _last_check(self, now: float) -> float:
        """The time of the check before this one."""
        last = self._db.execute("SELECT at FROM checks ORDER BY sequence DESC LIMIT 2").fetchall()
        return float(last[-1][0]) if last else now


_SELECT = (
    "SELECT check_name, subject, id, began, severity, highest, limit_value, aspect, culprits IS NOT NULL, "
    "checks FROM alerts WHERE ended IS NULL"
)
_UPDATE = "UPDATE alerts SET severity = ?, highest = ?, limit_value = ?, aspect = ?, checks = ? WHERE id = ?"
_END = "UPDATE alerts SET ended = ?, end_reason = ?, checks = ? WHERE id = ?"


def _key(alert: Alert) -> _Key:
    return alert.finding.check, safe_text(alert.finding.subject)


def _details(alert: Alert) -> str:
    return safe_text(alert.finding.sentence)[:_MAX_DETAILS]


def _culprits(alert: Alert, evidence: Mapping[str, Any]) -> str | None:
    """The evidence about this alert as JSON, of long lists the first entries; ``None`` if there is none."""
    found = evidence.get(alert.finding.check)
    if isinstance(found, list):
        subject = safe_text(alert.finding.subject)
        found = next((each for each in found if each.get("iface", subject) == subject), None)
    if not found:
        return None
    text = json.dumps(found)
    for most in _SHORTER:
        if len(text) <= _MAX_CULPRITS:
            return text
        lists = {key: _shortened(inner, most) for key, inner in found.items()}
        text = json.dumps({**lists, "is_shortened": True})
    return text if len(text) <= _MAX_CULPRITS else None


def _shortened(value: object, most: int) -> object:
    """The same value with at most ``most`` entries in each list."""
    if isinstance(value, Mapping):
        return {key: _shortened(inner, most) for key, inner in value.items()}
    return [_shortened(inner, most) for inner in value[:most]] if isinstance(value, list) else value
