"""Records which nodes accept reports. Pure, except for the clock and the log.

Guarantees: one log line says that a node cannot be reached, one that it can be again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

#: How long a node that is no longer a receiver may be unreachable.
GIVE_UP_AFTER_S = 3600.0


class Reachability:
    """The nodes that could not be reached at the last try.

    Args:
        log: takes one line for each change.
        clock: monotonic seconds.
    """

    def __init__(self, log: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._log = log
        self._clock = clock
        self._unreachable: set[str] = set()
        #: When each unreachable node was first seen to be no receiver any more.
        self._lost_since_s: dict[str, float] = {}

    def record(self, node: str, *, reachable: bool) -> None:
        """Record the result of a try."""
        if reachable and node in self._unreachable:
            self._unreachable.remove(node)
            self._log(f"{node} takes reports again")
        elif not reachable and node not in self._unreachable:
            self._unreachable.add(node)
            self._log(f"{node} cannot be reached: its reports wait until it can")

    def lost(self, receivers: Collection[str]) -> list[str]:
        """Nodes that get no more reports; each is returned once. Empty ``receivers`` mean: not known."""
        if not receivers:
            return []
        now_s = self._clock()
        lost = self._unreachable.difference(receivers)
        self._lost_since_s = {node: self._lost_since_s.get(node, now_s) for node in lost}
        gone = [node for node, since_s in self._lost_since_s.items() if now_s - since_s >= GIVE_UP_AFTER_S]
        self._unreachable.difference_update(gone)
        return gone
