"""Reads what TCP sockets carry, and send again, between two checks; also sockets that are closed in between.

Guarantees: each byte and each segment of a socket counts in one window only. If the kernel lost messages
about closed sockets, the window has ``is_whole`` false.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from network_health.attribution import process_traffic
from network_health.model import Socket, SocketResent, SocketTraffic
from network_health.sources.linux import (
    ChangedRoutes,
    ClosedSockets,
    RouteChanges,
    read_carried_bytes,
    read_tcp_bytes,
)


@dataclass(frozen=True, slots=True)
class Window:
    """The traffic between two listings; ``listeners`` are those of the later one.

    ``carried`` are the bytes that each interface sent and received, by index. ``resent`` are the segments
    that were sent again. ``is_sample`` is true if the window did not begin at the check before.
    ``rerouted`` are the routes that were changed in the window, so that they are not those of all bytes.
    """

    seconds: float
    traffic: tuple[SocketTraffic, ...]
    listeners: tuple[Socket, ...]
    is_whole: bool
    carried: Mapping[int, tuple[int, int]]
    resent: tuple[SocketResent, ...] = ()
    is_sample: bool = False
    rerouted: ChangedRoutes = field(default_factory=ChangedRoutes)


class TrafficWindows:
    """Reads one window after the other, in the network namespace of the calling thread.

    Raises:
        OSError: the kernel denies access.
    """

    def __init__(self) -> None:
        with contextlib.ExitStack() as opened:
            self._closed = opened.enter_context(contextlib.closing(ClosedSockets()))
            self._routes = RouteChanges()
            opened.pop_all()
        self._at_s: float | None = None
        self._open: Mapping[int, bytes] = {}
        self._vanished: dict[int, bytes] = {}
        self._resent: Mapping[int, bytes] = {}
        self._resent_vanished: dict[int, bytes] = {}
        self._carried: Mapping[int, tuple[int, int]] = {}

    def read(self, *, is_last: bool = False) -> Window:
        """The window since the last call; the first one is empty. After ``is_last`` only `close` may follow.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        last_s, self._at_s = self._at_s, time.monotonic()
        carried_before, self._carried = self._carried, read_carried_bytes()
        before = None if last_s is None else self._open
        listing = read_tcp_bytes(before, self._resent, is_last=is_last)
        closed, is_whole = self._closed.take()
        traffic: tuple[SocketTraffic, ...] = ()
        resent: tuple[SocketResent, ...] = ()
        if last_s is not None:
            changed = (*listing.changed, *closed)
            traffic = process_traffic.socket_traffic(self._open, self._vanished, changed)
            resent = process_traffic.socket_resent(self._resent, self._resent_vanished, changed)
        if not is_last:
            self._resent_vanished = process_traffic.vanished_counters(self._resent, listing.resent, closed)
            self._resent = listing.resent
            self._vanished = process_traffic.vanished_counters(self._open, listing.counters, closed)
            self._open = listing.counters
        carried = process_traffic.carried_since(carried_before, self._carried)
        seconds = self._at_s - (last_s or self._at_s)
        listeners, rerouted = tuple(listing.listeners), self._routes.take()
        return Window(seconds, traffic, listeners, is_whole, carried, resent, is_last, rerouted)

    def close(self) -> None:
        """Stop receiving closed sockets and changes of routes."""
        self._closed.close()
        self._routes.close()
