"""What is remembered of TCP sockets from one listing to the next, by cookie: no object for a socket. Pure.

Law: it is filled first, then asked. The kernel lists in the same order each time but for what came and
went, so the next one in order is mostly the one that is asked for.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping

from network_health.model import BYTE_COUNTER


class ByteCounters(Mapping[int, bytes]):
    """Cookie to mark (`BYTE_COUNTER`), 36 bytes each where a dictionary takes 180: there may be 100,000."""

    def __init__(self) -> None:
        self._cookies = array("Q")
        self._marks = bytearray()
        self._next = 0
        self._sorted: tuple[array[int], array[int]] | None = None

    def add(self, cookie: int, mark: bytes) -> None:
        """Each cookie once."""
        self._cookies.append(cookie)
        self._marks += mark

    def __getitem__(self, cookie: int) -> bytes:
        at = self._next
        if at >= len(self._cookies) or self._cookies[at] != cookie:
            at = self._found(cookie)
        self._next = at + 1
        return bytes(self._marks[at * BYTE_COUNTER.size : (at + 1) * BYTE_COUNTER.size])

    def __iter__(self) -> Iterator[int]:
        return iter(self._cookies)

    def __len__(self) -> int:
        return len(self._cookies)

    def _found(self, cookie: int) -> int:
        """Where it is.

        Raises:
            KeyError: nowhere.
        """
        if self._sorted is None:
            order = array("I", sorted(range(len(self._cookies)), key=self._cookies.__getitem__))
            self._sorted = array("Q", (self._cookies[at] for at in order)), order
        cookies, places = self._sorted
        at = bisect_left(cookies, cookie)
        if at == len(cookies) or cookies[at] != cookie:
            raise KeyError(cookie)
        return places[at]
