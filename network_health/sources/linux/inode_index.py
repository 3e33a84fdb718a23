"""Stores the group and the holders of each socket by inode, without a Python object per socket."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from network_health.model import MAX_HOLDERS, Holders

#: An entry has the inode in its upper half and the number of the group in its lower half.
_GROUP = (1 << 32) - 1
#: So many entries are searched before all others.
_NEAR = 8


class InodeIndex:
    """Maps inodes to group numbers, and records the processes that have them open.

    Add all inodes, then call `sort`, then `hold`. Several sockets may have one inode (MPTCP). An entry takes
    12 bytes; in a dictionary it takes 100. There can be 100,000 entries.
    """

    def __init__(self) -> None:
        self._table = array("Q")
        #: By entry, an index of ``_sets``.
        self._holders = array("I")
        self._sets: list[Holders] = [()]
        #: The set that a process makes of another one, as the index of both.
        self._grown: dict[tuple[int, int], int] = {}

    def __len__(self) -> int:
        return len(self._table)

    def add(self, inode: int, group: int) -> None:
        """Add a socket."""
        self._table.append(inode << 32 | group)

    def sort(self) -> None:
        """Prepare for lookups."""
        self._table = array("Q", sorted(self._table))
        self._holders = array("I", bytes(self._holders.itemsize * len(self._table)))

    def hold(self, pid: int, inodes: Iterable[int]) -> None:
        """Record that a process has ``inodes`` open; of each at most `MAX_HOLDERS` processes are kept."""
        # Local variables and no function call per socket, for speed.
        table, holders, grown, end = self._table, self._holders, self._grown, len(self._table)
        at = 0
        for inode in sorted(inodes):
            # The inodes of a process are often near each other.
            entry, near = inode << 32, at + _NEAR
            at = bisect_left(table, entry, at, near if near < end and entry <= table[near] else end)
            while at < end and table[at] >> 32 == inode:
                known = holders[at]
                holders[at] = grown.get((known, pid)) or self._grow(known, pid)
                at += 1

    def counts(self) -> dict[int, dict[Holders, int]]:
        """The number of sockets by holders, for each group with a socket that a recorded process has open."""
        # One number for both, because a tuple per group takes much memory if each socket is a group.
        pairs = zip(self._table, self._holders, strict=False)
        numbers = Counter((entry & _GROUP) << 32 | number for entry, number in pairs if number)
        found: dict[int, dict[Holders, int]] = {}
        for number, sockets in numbers.items():
            found.setdefault(number >> 32, {})[self._sets[number & _GROUP]] = sockets
        return found

    def not_held(self) -> int:
        """The number of sockets that no recorded process has open."""
        return self._holders.count(0)

    def is_not_held(self, inode: int) -> bool:
        """Whether an inode was added, and no recorded process has it open."""
        at = bisect_left(self._table, inode << 32)
        return at < len(self._table) and self._table[at] >> 32 == inode and not self._holders[at]

    def _grow(self, known: int, pid: int) -> int:
        pids = self._sets[known]
        if pid in pids or len(pids) == MAX_HOLDERS:
            return known
        number = self._grown[known, pid] = len(self._sets)
        self._sets.append((*pids, pid))
        return number
