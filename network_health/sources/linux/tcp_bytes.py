"""Reads the byte counters of TCP sockets, from ``NETLINK_SOCK_DIAG`` with ``tcp_info``.

See sock_diag(7) and tcp(7). Guarantees: a listing has the sockets of the calling thread's network namespace.
Sockets are compared by cookie.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from network_health.model import BYTE_COUNTER, Socket
from network_health.sources.linux import inet_diag
from network_health.sources.linux.byte_counters import ByteCounters
from network_health.sources.linux.inet_diag import INFO, MARK
from network_health.sources.linux.sockets import LISTEN, parse_socket

_STATE_AND_COOKIE = struct.Struct("=xB42xQ")
_INODE = slice(68, 72)
_BYTES = slice(120, 136)  # of tcp_info: tcpi_bytes_acked, tcpi_bytes_received
_NO_BYTES, _NO_INODE = bytes(16), bytes(4)
#: All states except SYN_SENT, SYN_RECV and TIME_WAIT, in which no data is sent.
_STATES = inet_diag.ALL & ~(1 << 2 | 1 << 3 | 1 << 6)


@dataclass(slots=True)
class TcpBytes:
    """One listing: byte counters by cookie, and the sockets whose counter differs from ``before``.

    ``changed`` is empty in a first listing (``before`` is ``None``); ``counters`` is empty in a last one.
    """

    before: Mapping[int, bytes] | None
    counters: ByteCounters = field(default_factory=ByteCounters)
    changed: list[Socket] = field(default_factory=list)
    listeners: list[Socket] = field(default_factory=list)
    is_last: bool = False


def read_tcp_bytes(before: Mapping[int, bytes] | None, *, is_last: bool = False) -> TcpBytes:
    """List the sockets that can carry data, and the listeners; compare with the counters ``before``.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    request = inet_diag.tcp_request(_STATES, 1 << INFO - 1)
    return inet_diag.dump(request, partial(TcpBytes, before, is_last=is_last), parse)


def parse(datagram: bytes, listing: TcpBytes) -> bool:
    """Add the sockets of one datagram to ``listing``; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """
    layouts, before = inet_diag.Layouts(INFO, MARK), listing.before or {}

    def add(start: int, end: int) -> None:
        state, cookie = _STATE_AND_COOKIE.unpack_from(datagram, start)
        layout = layouts.of(datagram, start, end)
        if state == LISTEN:
            listing.listeners.append(parse_socket(datagram, start, layout))
            return
        at = start + layout[INFO] if INFO in layout else None
        octets = _NO_BYTES if at is None else datagram[at + _BYTES.start : at + _BYTES.stop]
        inode = datagram[start + _INODE.start : start + _INODE.stop]
        previous = before.get(cookie)
        if inode == _NO_INODE and previous is not None:  # closed by its process: keep the last known inode
            inode = previous[16:]
        counter = octets + inode
        if not listing.is_last:
            listing.counters.add(cookie, counter)
        if counter != previous and listing.before is not None:
            # Only a socket with traffic becomes a Python object.
            inode_number = BYTE_COUNTER.unpack(counter)[2]
            listing.changed.append(parse_socket(datagram, start, layout)._replace(inode=inode_number))

    return inet_diag.for_each_socket(datagram, add)
