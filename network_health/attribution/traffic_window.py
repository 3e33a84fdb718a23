"""Reads what TCP sockets carry, and send again, between two checks; also sockets that are closed in between.

Guarantees: each byte and each segment of a socket counts in one window only. If the kernel lost messages
about closed sockets, the window has ``is_whole`` false.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from network_health.attribution import process_traffic
from network_health.collectors import counted_since
from network_health.model import IpCounters, Socket, SocketResent, SocketTraffic
from network_health.sources.linux import (
    Calls,
    ChangedRoutes,
    ClosedSockets,
    RouteChanges,
    read_carried,
    read_ip_counters,
    read_tcp_bytes,
)


@dataclass(frozen=True, slots=True)
class Window:
    """The traffic between two listings; ``listeners`` are those of the later one.

    ``calls`` are the bytes of all sockets by process; ``None`` if they were not counted, or if that failed.

    ``carried`` are the bytes that each interface sent and received, by index, ``packets`` the packets.
    ``resent`` are the segments that were sent again. ``is_sample`` is true if the window did not begin at the
    check before. ``counted`` is what the host itself sent and received; ``None`` if it is not known.
    ``rerouted`` are the routes that were changed in the window, so that they are not those of all bytes.
    """

    seconds: float
    traffic: tuple[SocketTraffic, ...]
    listeners: tuple[Socket, ...]
    is_whole: bool
    carried: Mapping[int, tuple[int, int]]
    resent: tuple[SocketResent, ...] = ()
    is_sample: bool = False
    calls: Calls | None = None
    calls_failure: str = ""
    packets: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    counted: IpCounters | None = None
    rerouted: ChangedRoutes = field(default_factory=ChangedRoutes)


class TrafficWindows:
    """Reads one window after the other, in the network namespace of the calling thread.

    The sockets must be read before the clock reaches ``deadline_s``.

    Raises:
        OSError: the kernel denies access.
    """

    def __init__(self, deadline_s: float = math.inf) -> None:
        self._deadline_s = deadline_s
        with contextlib.ExitStack() as opened:
            self._closed = opened.enter_context(contextlib.closing(ClosedSockets()))
            self._routes = RouteChanges()
            opened.pop_all()
        self._at_s: float | None = None
        self._began_s = 0.0
        self._early: list[Socket] = []
        self._open: Mapping[int, bytes] = {}
        self._vanished: dict[int, bytes] = {}
        self._resent: Mapping[int, bytes] = {}
        self._resent_vanished: dict[int, bytes] = {}
        self._carried: Mapping[int, tuple[int, int]] = {}
        self._packets: Mapping[int, tuple[int, int]] = {}
        self._counted: IpCounters | None = None

    def read(self, *, is_last: bool = False) -> Window:
        """The window since the last call; the first one is empty. After ``is_last`` only `close` may follow.

        Raises:
            OSError: the kernel denies access, or the time is up.
            KernelFormatError: its answer has an unknown format.
        """
        last_s, self._at_s = self._at_s, time.monotonic()
        carried_before, packets_before, counted_before = self._carried, self._packets, self._counted
        self._carried, self._packets = read_carried()
        self._counted = read_ip_counters()
        before = None if last_s is None else self._open
        listing = read_tcp_bytes(before, self._resent, self._deadline_s, is_last=is_last)
        if last_s is None:
            self._began_s = self._at_s
        closed, is_whole = self._take_closed(listing.counters, is_first=last_s is None)
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
        packets = process_traffic.carried_since(packets_before, self._packets)
        counted = counted_since(counted_before, self._counted)
        listeners, rerouted = tuple(listing.listeners), self._routes.take()
        return Window(
            seconds,
            traffic,
            listeners,
            is_whole,
            carried,
            resent,
            is_last,
            packets=packets,
            counted=counted,
            rerouted=rerouted,
        )

    def _take_closed(self, listed: Mapping[int, bytes], *, is_first: bool) -> tuple[list[Socket], bool]:
        """The sockets closed in this window, also those reported right after it began.

        A socket that was closed before the first listing may be reported after it, and has no bytes here.
        """
        if is_first:
            self._early, is_whole = self._closed.take(listed, self._began_s, settles=True)
            return [], is_whole
        early, self._early = self._early, []
        closed, is_whole = self._closed.take(self._open, self._began_s)
        return early + closed, is_whole

    def close(self) -> None:
        """Stop receiving closed sockets and changes of routes."""
        self._closed.close()
        self._routes.close()
