"""Keeps a node's reports in order on their last step, from its ``incoming`` folder to its handler.

The framework's listener takes what lies in the folder in no particular order. So a packet is put there
only when the one before was taken. Law: order is given up before a report is: a backlog opens the gate.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["Turns"]


class Turns:
    """Whose turn it is to have a packet put into its folder.

    Args:
        comm: the swarm's folder of all nodes.
    """

    def __init__(self, comm: Path) -> None:
        self._comm = comm
        self._on_their_way: dict[str, frozenset[str]] = {}

    def take(self, node: str, pass_packet: Callable[[], bool], *, in_a_hurry: bool) -> bool | None:
        """Put a packet in ``node``'s folder by ``pass_packet``, and say what that said.

        ``None`` when it is not the packet's turn yet; never so for one ``in_a_hurry``.
        """
        before = self._incoming(node)
        if not in_a_hurry and self._on_their_way.get(node, frozenset()) & before:
            return None
        passed = pass_packet()
        # Another sender's packet may be among these: then the next one waits for it as well.
        self._on_their_way[node] = self._incoming(node) - before
        return passed

    def _incoming(self, node: str) -> frozenset[str]:
        try:
            return frozenset(os.listdir(self._comm / node / "incoming"))
        except OSError:  # no folder yet: nothing lies in it
            return frozenset()
