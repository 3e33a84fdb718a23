"""Receives the final state of TCP sockets when they are closed, from ``NETLINK_SOCK_DIAG`` multicast groups.

See sock_diag(7) and ``SKNLGRP_INET_TCP_DESTROY`` in the kernel's sock_diag.h. Guarantees: a closed socket has
its cookie and its final byte counts, but no inode. `ClosedSockets.take` reads a bounded number of messages.
The kernel sends them from a work queue: on a busy host a while after the socket has left the listings.
"""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time
from collections.abc import Container

from network_health.model import Socket
from network_health.sources.linux import inet_diag, netlink
from network_health.sources.linux.inet_diag import INFO, MARK, MEMORY
from network_health.sources.linux.sockets import parse_socket

_GROUPS = 1 << 0 | 1 << 2  # SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY
_SO_RCVBUFFORCE = 33
#: Room for about 6,500 closed sockets; a message takes about 1,280 bytes of it.
_BUFFER_BYTES = 8 << 20
_MESSAGE_BYTES = 8192
#: Three times what fits into the buffer. More arrive only if sockets are closed faster than they are read.
_MAX_TAKEN = 20_000
#: After a listing messages about older sockets are waited for: until none came for so long, and at most.
_QUIET_MS, _MAX_SETTLE_S = 10, 0.05
_IDLE = struct.Struct("=44xI4xI")  # tcp_info: tcpi_last_data_sent, tcpi_last_data_recv; ms ago


class ClosedSockets:
    """Subscribes to the sockets that are closed in the calling thread's network namespace.

    Raises:
        OSError: the kernel denies access.
    """

    def __init__(self) -> None:
        self._kernel = netlink.subscribe(inet_diag.PROTOCOL, _GROUPS, _BUFFER_BYTES)
        with contextlib.suppress(PermissionError):  # without CAP_NET_ADMIN net.core.rmem_max is the limit
            self._kernel.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_BYTES)
        self._kernel.setblocking(False)
        self._arrives = select.poll()
        self._arrives.register(self._kernel, select.POLLIN)

    def take(
        self, known: Container[int] = (), began_s: float = 0, *, settles: bool = False
    ) -> tuple[list[Socket], bool]:
        """The sockets closed since the last call; the flag is false if some of them are missing.

        Without those that had no data since the monotonic clock was ``began_s``, unless their cookies are
        ``known``: they were closed before. If this ``settles``, messages that are under way are waited for.

        Raises:
            KernelFormatError: a message has an unknown format.
            OSError: the kernel reports an error.
        """
        closed: list[Socket] = []
        is_whole = True
        until_s = time.monotonic() + settles * _MAX_SETTLE_S
        for _ in range(_MAX_TAKEN):
            try:
                datagram = self._kernel.recv(_MESSAGE_BYTES)
            except BlockingIOError:
                if time.monotonic() < until_s and self._arrives.poll(_QUIET_MS):
                    continue
                return closed, is_whole
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                is_whole = False
                continue
            since_ms = 1000 * (time.monotonic() - began_s)
            closed += [
                each for each, idle_ms in _parse(datagram) if idle_ms < since_ms or each.cookie in known
            ]
        return closed, False

    def close(self) -> None:
        """Unsubscribe."""
        self._kernel.close()


def _parse(datagram: bytes) -> list[tuple[Socket, float]]:
    """The sockets of a message, and how long ago each had data; 0 if it had none."""
    found: list[tuple[Socket, float]] = []
    layouts = inet_diag.Layouts(INFO, MEMORY, MARK)

    def add(start: int, end: int) -> None:
        layout = layouts.of(datagram, start, end)
        each = parse_socket(datagram, start, layout)
        has_data = INFO in layout and (each.sent or each.received)
        found.append((each, min(_IDLE.unpack_from(datagram, start + layout[INFO])) if has_data else 0))

    inet_diag.for_each_socket(datagram, add)
    return found
