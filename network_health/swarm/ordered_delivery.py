"""Keeps reports in order on their last step, from a node's ``incoming`` folder to its handler.

The framework's listener reads the folder in no particular order, and only after the folder has changed: a
packet that came before the listener started stays there until something else changes the folder.

Guarantees: a packet is passed only after the one before was taken, also across a restart of the sender.
Passing `out_of_order` skips that wait. A folder in which packets stay is touched, so that the listener
reads it.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

#: A listener reads its folder every 3 s; a packet that is still there after this time may need a touch.
_TOUCH_EVERY_S = 5.0


class OrderedDelivery:
    """Passes one packet at a time to each node.

    Args:
        comm: the swarm's folder of all nodes.
        clock: seconds that never go back.
    """

    def __init__(self, comm: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._comm = comm
        self._clock = clock
        self._touched_s = clock()
        self._not_taken: dict[str, frozenset[str]] = {}

    def send(self, node: str, pass_packet: Callable[[], bool], *, out_of_order: bool = False) -> bool | None:
        """Pass a packet to ``node`` by ``pass_packet``, and return its result.

        ``None`` while an earlier packet waits in the folder, unless ``out_of_order``.
        """
        before = self._incoming(node)
        if not out_of_order and self._not_taken.setdefault(node, before) & before:
            return None
        passed = pass_packet()
        # Another sender's packet may be among these: then the next one waits for it as well.
        self._not_taken[node] = self._incoming(node) - before
        return passed

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
