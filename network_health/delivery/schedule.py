"""Computes when the next check is due. Pure: the caller passes `time.monotonic` seconds.

Guarantees: checks start every interval; the time that a check takes is not added. A missed slot is skipped.
"""

from __future__ import annotations

import math


class Schedule:
    """Due first at ``first_s``, then every ``interval_s``."""

    def __init__(self, first_s: float, interval_s: float) -> None:
        self.due_s = first_s
        self._interval_s = interval_s

    def started(self, now_s: float) -> None:
        """Record that a check starts now; the next one is due at the first slot after ``now_s``."""
        slots = math.floor((now_s - self.due_s) / self._interval_s) + 1
        self.due_s += max(slots, 1) * self._interval_s

    def change_interval(self, interval_s: float) -> None:
        """Move the next check to ``interval_s`` after the previous slot."""
        self.due_s += interval_s - self._interval_s
        self._interval_s = interval_s
