"""Defines what a history gives back: series, alerts, checks and settings. Pure values.

Guarantees: times are epoch seconds. ``None`` is unknown, ``0`` is measured.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from network_health.model import Snapshot
from network_health.settings import Settings


class HistoryError(Exception):
    """A history cannot be read; one sentence that says which file, and why."""


@dataclass(frozen=True, slots=True)
class Series:
    """One metric over time, in periods of ``period_s``, the oldest first.

    ``at`` has the begin of each period. A time without checks is a single period whose values are ``None``,
    at its begin. ``p95`` is the 95th percentile; of periods that were merged, the highest of theirs.
    """

    at: array[float]
    average: Sequence[float | None]
    highest: Sequence[float | None]
    p95: Sequence[float | None]
    period_s: float


@dataclass(frozen=True, slots=True)
class KeptAlert:
    """One alert, from its first breached check to its last.

    ``end`` is ``None`` while it is active, and so is ``end_reason``, which is else ``normal``, ``gone``,
    ``settings``, or ``unknown`` if no check saw its end. ``severity`` is the highest. ``value`` is the first
    one that was reported, ``highest`` the highest, and ``limit`` that of the last check. ``details`` is the
    sentence, and ``culprits`` the evidence, of the highest value. ``checks`` counts the breached ones.
    """

    check: str
    subject: str
    aspect: str
    begin: float
    end: float | None
    end_reason: str | None
    severity: str
    value: float
    highest: float
    limit: float
    details: str
    culprits: Any
    checks: int


@dataclass(frozen=True, slots=True)
class KeptCheck:
    """One check, as `alerting.evaluate` takes it; ``period_s`` is the length of a summary, or
    the interval between checks that was set last.

    A kept check gives the same findings as the check itself. A summary has the highest value of each metric
    in its period, so that it is breached if any check of the period was. ``status`` and ``severity`` are
    those of the report; of a summary the most severe ones.
    """

    at: float
    snapshot: Snapshot
    is_summary: bool
    period_s: float
    status: str
    severity: str


@dataclass(frozen=True, slots=True)
class KeptSettings:
    """The settings in force from ``at`` on."""

    at: float
    settings: Settings
