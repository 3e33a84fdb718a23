"""What the TCP sockets have moved so far, from ``NETLINK_SOCK_DIAG`` with ``tcp_info``.

See sock_diag(7) and tcp(7). Laws: a socket is known by its cookie. One that has moved nothing since
the listing before costs a comparison and 20 bytes. A listing is a dump of the calling thread's network
namespace.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from network_health.model import BYTE_COUNTER, Socket
from network_health.sources.linux import inet_diag, netlink
from network_health.sources.linux.byte_counters import ByteCounters
from network_health.sources.linux.inet_diag import INFO
from network_health.sources.linux.sockets import parse_one

_STATE_AND_COOKIE = struct.Struct("=xB42xQ")
_INODE = slice(68, 72)
_BYTES = slice(120, 136)  # of tcp_info: tcpi_bytes_acked, tcpi_bytes_received
_NONE, _NO_INODE = bytes(16), bytes(4)
_LISTEN = 10
#: All but SYN_SENT, SYN_RECV, TIME_WAIT, which carry nothing.
_STATES = inet_diag.ALL & ~(1 << 2 | 1 << 3 | 1 << 6)


@dataclass(slots=True)
class TcpBytes:
    """``marks`` of all sockets by cookie; ``changed`` are those that moved something since ``before``.

    Of a first listing, which has nothing ``before`` it, nothing has changed.
    """

    before: Mapping[int, bytes] | None
    marks: ByteCounters = field(default_factory=ByteCounters)
    changed: list[Socket] = field(default_factory=list)
    listeners: list[Socket] = field(default_factory=list)
    is_last: bool = False


def read_tcp_bytes(before: Mapping[int, bytes] | None, *, is_last: bool = False) -> TcpBytes:
    """The sockets that can carry data, compared with ``before``, and the listeners.

    Of the last listing nothing is remembered: it has no ``marks``.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read_tcp_bytes.
    """
    request = inet_diag.tcp_request(_STATES, 1 << INFO - 1)
    return netlink.dump(inet_diag.PROTOCOL, request, partial(TcpBytes, before, is_last=is_last), parse)


def parse(datagram: bytes, moving: TcpBytes) -> bool:
    """Add the sockets of one datagram to ``moving``; True when the dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    layouts, before, marks = inet_diag.Layouts(INFO), moving.before or {}, moving.marks

    def add(start: int, end: int) -> None:
        state, cookie = _STATE_AND_COOKIE.unpack_from(datagram, start)
        layout = layouts.of(datagram, start, end)
        if state == _LISTEN:
            moving.listeners.append(parse_one(datagram, start, layout))
            return
        at = start + layout[INFO] if INFO in layout else None
        octets = _NONE if at is None else datagram[at + _BYTES.start : at + _BYTES.stop]
        inode = datagram[start + _INODE.start : start + _INODE.stop]
        then = before.get(cookie)
        if inode == _NO_INODE and then is not None:  # its process has closed it
            inode = then[16:]
        mark = octets + inode
        if not moving.is_last:
            marks.add(cookie, mark)
        if mark != then and moving.before is not None:
            moving.changed.append(
                parse_one(datagram, start, layout)._replace(inode=BYTE_COUNTER.unpack(mark)[2])
            )

    return inet_diag.walk(datagram, add)
