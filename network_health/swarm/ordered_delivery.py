"""Keeps a node's reports in order on their last step, from its ``incoming`` folder to its handler.

The framework's listener takes what lies in the folder in no particular order, and only once the folder
has changed: one that was started after a packet came leaves it there until something else does.

Laws: a packet is put there only when the one before was taken; what already lies there at the first look
may be this agent's, from before it was killed. Order is given up before a report is: a backlog opens the
gate. A listener that lets a packet lie is shown a change.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

#: A packet that is not taken within this time may need `OrderedDelivery.remind`; a listener looks every 3 s.
_REMIND_EVERY_S = 5.0


class OrderedDelivery:
    """Whose turn it is to have a packet put into its folder.

    Args:
        comm: the swarm's folder of all nodes.
        clock: seconds that never go back.
    """

    def __init__(self, comm: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._comm = comm
        self._clock = clock
        self._reminded_s = clock()
        self._on_their_way: dict[str, frozenset[str]] = {}

    def take(self, node: str, pass_packet: Callable[[], bool], *, in_a_hurry: bool) -> bool | None:
        """Put a packet in ``node``'s folder by ``pass_packet``, and say what that said.

        ``None`` when it is not the packet's turn yet; never so for one ``in_a_hurry``.
        """
        before = self._incoming(node)
        if not in_a_hurry and self._on_their_way.setdefault(node, before) & before:
            return None
        passed = pass_packet()
        # Another sender's packet may be among these: then the next one waits for it as well.
        self._on_their_way[node] = self._incoming(node) - before
        return passed

    def remind(self) -> None:
        """Touch the folders in which packets still lie; to be called every second or so."""
        if self._clock() - self._reminded_s < _REMIND_EVERY_S:
            return
        self._reminded_s = self._clock()
        for node, packets in self._on_their_way.items():
            if packets and packets & self._incoming(node):
                with contextlib.suppress(OSError):  # read-only or gone: nobody can take them now
                    os.utime(self._comm / node / "incoming")

    def _incoming(self, node: str) -> frozenset[str]:
        """The packets in ``node``'s folder; other files there are no packets to the listener either."""
        try:
            names = os.listdir(self._comm / node / "incoming")
        except OSError:  # no folder yet: nothing lies in it
            return frozenset()
        return frozenset(name for name in names if name.endswith(".json"))
