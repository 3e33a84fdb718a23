"""Keeps reports in order on their last step, from a node's ``incoming`` folder to its handler.

The framework's listener reads the folder every 3 s, in no particular order, and only after the folder has
changed: a packet that came before the listener started stays there until something else changes the folder.

Guarantees: a packet is passed only while fewer than ``at_once`` earlier packets wait in the node's folder,
also after a restart of the sender; with 1, a node gets its packets in order. With ``out_of_order`` it is
passed in any case. A folder in which packets stay is touched, so that the listener reads it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

#: How often the framework's listener reads its folder.
POLL_S = 3
#: An agent that finds its receivers late after a boot has fewer reports waiting than this.
_BEHIND = 10
#: A packet that is still there after this time may need a touch.
_TOUCH_EVERY_S = 5.0
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 1.0


class OrderedDelivery:
    """Passes one packet at a time to each node.

    Args:
        comm: the swarm's folder of all nodes.
        clock: seconds that never go back.
    """

    def __init__(self, comm: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._comm = comm
        self._clock = clock
        self._touched_s = self._passed_s = clock()
        self._not_taken: dict[str, frozenset[str]] = {}
        self._is_behind = False

    def send(
        self, node: str, pass_packet: Callable[[], bool], *, at_once: int = 1, out_of_order: bool = False
    ) -> bool | None:
        """Pass a packet to ``node`` by ``pass_packet``, and return its result.

        ``None`` while ``at_once`` earlier packets wait in the folder, unless ``out_of_order``.
        """
        before = self._incoming(node)
        waiting = self._not_taken.setdefault(node, before) & before
        if not out_of_order and len(waiting) >= at_once:
            return None
        passed = pass_packet()
        self._passed_s = self._clock()
        # Another sender's packet may be among these: then the next one waits for it as well.
        self._not_taken[node] = waiting | (self._incoming(node) - before)
        return passed

    def packets_at_once(self, interval_s: float, waiting: int) -> int:
        """How many reports to pass at once, if one is made every ``interval_s`` and ``waiting`` of them wait.

        With one at a time, a node would fall further and further behind an agent as fast as its listener.
        """
        self._is_behind = interval_s <= POLL_S and waiting > (1 if self._is_behind else _BEHIND)
        return 1 + int(POLL_S // interval_s) if self._is_behind else 1

    def pause_s(self) -> float:
        """How long to wait before the next try: the time since the last packet was passed, at most a second.

        So a node that takes its packets fast gets the next one soon, and a slow one costs few tries.
        """
        return min(max(self._clock() - self._passed_s, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S)

    def touch_waiting(self) -> None:
        """Touch the folders in which packets still wait; to be called every second or so."""
        if self._clock() - self._touched_s < _TOUCH_EVERY_S:
            return
        self._touched_s = self._clock()
        for node, packets in self._not_taken.items():
            if packets and packets & self._incoming(node):
                with contextlib.suppress(OSError):  # read-only or removed: no packet can be taken now
                    os.utime(self._comm / node / "incoming")

    def _incoming(self, node: str) -> frozenset[str]:
        """The packets in ``node``'s folder; the listener takes only files of this kind."""
        try:
            names = os.listdir(self._comm / node / "incoming")
        except OSError:  # no folder yet
            return frozenset()
        return frozenset(name for name in names if name.endswith(".json"))
