"""Single sockets with their addresses and figures, from ``NETLINK_SOCK_DIAG``; see sock_diag(7).

Laws: of the sockets that may be many only those that are asked for are kept. A listing is a dump of the
calling thread's network namespace. An attribute that a kernel does not send leaves its default.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection

from network_health.model import Socket
from network_health.sources.linux import inet_diag, netlink
from network_health.sources.linux.inet_diag import INFO, MEMORY

#: inet_diag_msg: family, state, ports, addresses, cookie, rqueue, wqueue, inode
_MESSAGE = struct.Struct("=BBxxHH16s16s4xQ4xII4xI")
_BYTES = struct.Struct("=120xQQ")  # tcp_info: tcpi_bytes_acked, tcpi_bytes_received
_DROPS = struct.Struct("=32xI")  # SK_MEMINFO_DROPS
_LISTEN = 10


def read_listeners() -> list[Socket]:
    """The TCP sockets that listen, with the connections that they refused.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read.
    """
    request = inet_diag.tcp_request(1 << _LISTEN, 1 << MEMORY - 1)
    return netlink.dump(inet_diag.PROTOCOL, request, list[Socket], parse)


def read_talking_to(remotes: Collection[tuple[bytes, int]]) -> list[Socket]:
    """The TCP sockets whose remote address and port is one of ``remotes``.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read.
    """

    def take(datagram: bytes, found: list[Socket]) -> bool:
        everyone: list[Socket] = []
        is_last = parse(datagram, everyone)
        found += [each for each in everyone if (each.remote, each.remote_port) in remotes]
        return is_last

    return netlink.dump(inet_diag.PROTOCOL, inet_diag.tcp_request(inet_diag.ALL), list[Socket], take)


def parse(datagram: bytes, sockets: list[Socket]) -> bool:
    """Add the TCP sockets of one datagram to ``sockets``; True when a dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    layouts = inet_diag.Layouts(INFO, MEMORY)

    def add(start: int, end: int) -> None:
        sockets.append(parse_one(datagram, start, layouts.of(datagram, start, end)))

    return inet_diag.walk(datagram, add)


def parse_one(datagram: bytes, start: int, layout: dict[int, int]) -> Socket:
    """The TCP socket whose message has its body at ``start``.

    Raises:
        KernelFormatError: its family or state is not known.
    """
    family, state, port, remote_port, local, remote, cookie, queued, limit, inode = _MESSAGE.unpack_from(
        datagram, start
    )
    local, remote = inet_diag.addresses(family, local, remote)
    sent, received = _BYTES.unpack_from(datagram, start + layout[INFO]) if INFO in layout else (0, 0)
    (drops,) = _DROPS.unpack_from(datagram, start + layout[MEMORY]) if MEMORY in layout else (0,)
    return Socket(
        inet_diag.state_of(state, "tcp"),
        local,
        socket.ntohs(port),
        remote,
        socket.ntohs(remote_port),
        inode,
        cookie,
        sent,
        received,
        queued if state == _LISTEN else 0,
        limit if state == _LISTEN else 0,
        drops,
    )
