"""Which bundle a socket is of, by its inode; no object for a socket. Pure.

Law: it is filled first, then sorted, then asked.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left

#: An entry has the inode in its upper half, the number of the bundle in its lower.
_BUNDLE = (1 << 32) - 1


class InodeIndex:
    """Inode to bundle, 8 bytes each where a dictionary takes 100: there may be 100,000."""

    def __init__(self) -> None:
        self._table = array("Q")
        self.left = 0

    def add(self, inode: int, bundle: int) -> None:
        """``bundle`` is above 0. To be called before anything is taken."""
        self._table.append(inode << 32 | bundle)

    def sort(self) -> None:
        """To be called when all are there."""
        self._table = array("Q", sorted(self._table))
        self.left = len(self._table)

    def take(self, inode: int) -> int:
        """The bundle of a socket, once; 0 where it has none, or has it no more."""
        at = bisect_left(self._table, inode << 32)
        if at == len(self._table) or self._table[at] >> 32 != inode:
            return 0
        bundle = self._table[at] & _BUNDLE
        self._table[at] = inode << 32
        self.left -= bundle > 0
        return bundle

    def has(self, inode: int) -> bool:
        """Whether a socket's bundle was not taken."""
        at = bisect_left(self._table, inode << 32 | 1)
        return at < len(self._table) and self._table[at] >> 32 == inode
