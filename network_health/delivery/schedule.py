"""When the next check is due. Pure: times are `time.monotonic` seconds, handed in.

Laws: starts lie on a grid of the interval, so the time a check takes is not added; a slot that was
missed is skipped, not made up.
"""

from __future__ import annotations

import math


class Schedule:
    """Due first at ``first_s``, then every ``interval_s``."""

    def __init__(self, first_s: float, interval_s: float) -> None:
        self.due_s = first_s
        self._interval_s = interval_s

    def started(self, now_s: float) -> None:
        """A check starts now; the next is due at the first slot after it."""
        slots = math.floor((now_s - self.due_s) / self._interval_s) + 1
        self.due_s += max(slots, 1) * self._interval_s

    def change_interval(self, interval_s: float) -> None:
        """From now on checks are ``interval_s`` apart, counted from the last one that was due."""
        self.due_s += interval_s - self._interval_s
        self._interval_s = interval_s
