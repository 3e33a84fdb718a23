"""Stores the group of each socket by inode, without a Python object per socket."""

from __future__ import annotations

from array import array
from bisect import bisect_left

#: An entry has the inode in its upper half and the number of the group in its lower half.
_GROUP = (1 << 32) - 1


class InodeIndex:
    """Maps an inode to a group number above 0. Add all inodes, then call `sort`, then look up.

    An entry takes 8 bytes; in a dictionary it takes 100. There can be 100,000 entries.
    """

    def __init__(self) -> None:
        self._table = array("Q")
        self.remaining = 0

    def add(self, inode: int, group: int) -> None:
        """Add an inode."""
        self._table.append(inode << 32 | group)

    def sort(self) -> None:
        """Prepare for lookups."""
        self._table = array("Q", sorted(self._table))
        self.remaining = len(self._table)

    def pop(self, inode: int) -> int:
        """Remove an inode and return its group; 0 if the inode is unknown or already removed."""
        at = bisect_left(self._table, inode << 32)
        if at == len(self._table) or self._table[at] >> 32 != inode:
            return 0
        group = self._table[at] & _GROUP
        self._table[at] = inode << 32
        self.remaining -= group > 0
        return group

    def __contains__(self, inode: int) -> bool:
        at = bisect_left(self._table, inode << 32 | 1)
        return at < len(self._table) and self._table[at] >> 32 == inode
