"""Reads the bytes that TCP sockets carry between two checks, including sockets that are closed in between.

Guarantees: each byte of a socket counts in one window only. If the kernel lost messages about closed sockets,
the window has ``is_whole`` false.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from network_health.attribution import process_traffic
from network_health.model import Socket, SocketTraffic
from network_health.sources.linux import ClosedSockets, read_carried_bytes, read_tcp_bytes


@dataclass(frozen=True, slots=True)
class Window:
    """The traffic between two listings; ``listeners`` are those of the later one.

    ``carried`` are the bytes that each interface sent and received, by index.
    """

    seconds: float
    traffic: tuple[SocketTraffic, ...]
    listeners: tuple[Socket, ...]
    is_whole: bool
    carried: Mapping[int, tuple[int, int]]


class TrafficWindows:
    """Reads one window after the other, in the network namespace of the calling thread.

    Raises:
        OSError: the kernel denies access.
    """

    def __init__(self) -> None:
        self._closed = ClosedSockets()
        self._at_s: float | None = None
        self._open: Mapping[int, bytes] = {}
        self._vanished: dict[int, bytes] = {}
        self._carried: Mapping[int, tuple[int, int]] = {}

    def read(self, *, is_last: bool = False) -> Window:
        """The window since the last call; the first one is empty. After ``is_last`` only `close` may follow.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        last_s, self._at_s = self._at_s, time.monotonic()
        carried_before, self._carried = self._carried, read_carried_bytes()
        listing = read_tcp_bytes(None if last_s is None else self._open, is_last=is_last)
        closed, is_whole = self._closed.take()
        traffic: tuple[SocketTraffic, ...] = ()
        if last_s is not None:
            changed = (*listing.changed, *closed)
            traffic = process_traffic.socket_traffic(self._open, self._vanished, changed)
        if not is_last:
            self._vanished = process_traffic.vanished_counters(self._open, listing.counters, closed)
            self._open = listing.counters
        carried = process_traffic.carried_since(carried_before, self._carried)
        seconds = self._at_s - (last_s or self._at_s)
        return Window(seconds, traffic, tuple(listing.listeners), is_whole, carried)

    def close(self) -> None:
        """Stop receiving closed sockets."""
        self._closed.close()
