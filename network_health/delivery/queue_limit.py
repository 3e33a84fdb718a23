"""Limits the number of waiting reports of one kind. Pure, except for the log.

Guarantees: the oldest are dropped. One log line says when this begins. When at most half of the limit waits
again, one log line says how many were dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from network_health.delivery.spool import QueuedReport


class QueueLimit:
    """The limit of one kind.

    Args:
        kind: its name in the log.
        most: how many may wait.
        log: takes one line for each change.
    """

    def __init__(self, kind: str, most: int, log: Callable[[str], None]) -> None:
        self._kind = kind
        self._most = most
        self._log = log
        self._dropped = 0

    def excess(self, waiting: Sequence[QueuedReport]) -> Sequence[QueuedReport]:
        """The reports to drop, of those of this kind that wait, oldest first."""
        dropped = waiting[: max(0, len(waiting) - self._most)]
        if dropped and self._dropped == 0:
            self._log(
                f"{self._most} {self._kind} wait: from {dropped[0].report_id} on, the oldest are dropped"
            )
        self._dropped += len(dropped)
        if self._dropped and len(waiting) <= self._most // 2:
            self._log(f"{self._dropped} {self._kind} were dropped while the queue was full")
            self._dropped = 0
        return dropped
