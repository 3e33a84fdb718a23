"""Stores the counters of TCP sockets by cookie, without a Python object per socket."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from struct import Struct

from network_health.model import BYTE_COUNTER


class ByteCounters(Mapping[int, bytes]):
    """Maps a cookie to its `BYTE_COUNTER`, or another layout. Add all counters before the first lookup.

    An entry takes 36 bytes; in a dictionary it takes 180. There can be 100,000 entries.
    """

    def __init__(self, layout: Struct = BYTE_COUNTER) -> None:
        self._size = layout.size
        self._cookies = array("Q")
        self._counters = bytearray()
        self._next = 0
        self._sorted: tuple[array[int], array[int]] | None = None

    def add(self, cookie: int, counter: bytes) -> None:
        """Add the counter of a cookie that has none yet."""
        self._cookies.append(cookie)
        self._counters += counter

    def extend(self, cookies: array[int], counters: bytes) -> None:
        """Add cookies that have no counter yet; the counters follow one another."""
        self._cookies += cookies
        self._counters += counters

    def count_same(self, cookies: array[int], counters: bytes, first: int, end: int) -> int:
        """How many of these cookies, from number ``first`` on, are the next ones here, with the same counter.

        They are counted up to number ``end``. The next one here is that after the last lookup.
        """
        at = self._next
        same = min(end - first, len(self._cookies) - at)
        if same <= 0 or not self._is_same(at, cookies, counters, first, 1):
            return 0
        if not self._is_same(at, cookies, counters, first, same):
            same = next(n for n in range(same) if not self._is_same(at + n, cookies, counters, first + n, 1))
        self._next = at + same
        return same

    def _is_same(self, at: int, cookies: array[int], counters: bytes, first: int, count: int) -> bool:
        size = self._size
        return (
            self._cookies[at : at + count] == cookies[first : first + count]
            and self._counters[at * size : (at + count) * size]
            == counters[first * size : (first + count) * size]
        )

    def __getitem__(self, cookie: int) -> bytes:
        # The kernel lists sockets in nearly the same order each time, so the next entry is usually the one.
        at = self._next
        if at >= len(self._cookies) or self._cookies[at] != cookie:
            at = self._index_of(cookie)
        self._next = at + 1
        return bytes(self._counters[at * self._size : (at + 1) * self._size])

    def __iter__(self) -> Iterator[int]:
        return iter(self._cookies)

    def __len__(self) -> int:
        return len(self._cookies)

    def _index_of(self, cookie: int) -> int:
        if self._sorted is None:
            order = array("I", sorted(range(len(self._cookies)), key=self._cookies.__getitem__))
            self._sorted = array("Q", (self._cookies[at] for at in order)), order
        cookies, indexes = self._sorted
        at = bisect_left(cookies, cookie)
        if at == len(cookies) or cookies[at] != cookie:
            raise KeyError(cookie)
        return indexes[at]
