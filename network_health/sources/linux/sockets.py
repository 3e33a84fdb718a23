"""Lists TCP sockets with their addresses and counters, from ``NETLINK_SOCK_DIAG``; see sock_diag(7).

Guarantees: a list has the sockets of the calling thread's network namespace. A counter that the kernel does
not send is 0.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection

from network_health.model import Socket
from network_health.sources.linux import inet_diag
from network_health.sources.linux.inet_diag import INFO, MARK, MEMORY

#: Of inet_diag_msg: family, state, ports, addresses, bound interface, cookie, rqueue, wqueue, uid, inode.
_MESSAGE = struct.Struct("=BBxxHH16s16sIQ4xIIII")
_BYTES = struct.Struct("=120xQQ")  # tcp_info: tcpi_bytes_acked, tcpi_bytes_received
_DROPS = struct.Struct("=32xI")  # SK_MEMINFO_DROPS
_RESENT = struct.Struct("=100xI")  # tcp_info: tcpi_total_retrans
_RESENT_BYTES = struct.Struct("=208xQ")  # tcp_info: tcpi_bytes_retrans, since Linux 4.19
_RETRANSMITS = 3  # idiag_retrans of inet_diag_msg: of a half-open connection, the SYN-ACKs sent again
_MARK = struct.Struct("=I")
SYN_RECV = 3
LISTEN = 10


def read_listeners() -> list[Socket]:
    """The listening TCP sockets, with the number of connections that they refused.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    return inet_diag.dump(inet_diag.tcp_request(1 << LISTEN, 1 << MEMORY - 1), list[Socket], parse)


def read_connected_to(remotes: Collection[tuple[bytes, int]]) -> list[Socket]:
    """The TCP sockets whose remote address and port is one of ``remotes``.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """

    def parse_connected(datagram: bytes, found: list[Socket]) -> bool:
        # Filtered by datagram, so that 100,000 sockets are never in memory at once.
        sockets: list[Socket] = []
        is_last = parse(datagram, sockets)
        found += [each for each in sockets if (each.remote, each.remote_port) in remotes]
        return is_last

    return inet_diag.dump(inet_diag.tcp_request(inet_diag.ALL), list[Socket], parse_connected)


def parse(datagram: bytes, sockets: list[Socket]) -> bool:
    """Add the TCP sockets of one datagram to ``sockets``; True if a dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """
    layouts = inet_diag.Layouts(INFO, MEMORY, MARK)

    def add(start: int, end: int) -> None:
        sockets.append(parse_socket(datagram, start, layouts.of(datagram, start, end)))

    return inet_diag.for_each_socket(datagram, add)


def parse_socket(datagram: bytes, start: int, layout: dict[int, int]) -> Socket:
    """The TCP socket whose message body begins at ``start``.

    Raises:
        KernelFormatError: its family or state is unknown.
    """
    fields = _MESSAGE.unpack_from(datagram, start)
    family, state, port, remote_port, local, remote, device, cookie, queued, limit, uid, inode = fields
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
        queued if state == LISTEN else 0,
        limit if state == LISTEN else 0,
        drops,
        device,
        _MARK.unpack_from(datagram, start + layout[MARK])[0] if MARK in layout else None,
        uid,
        *resent_by(datagram, start, layout, state),
    )


def resent_by(datagram: bytes, start: int, layout: dict[int, int], state: int) -> tuple[int, int]:
    """The segments that a socket sent again in its lifetime, and the payload in them, 0 if it is unknown."""
    if state == SYN_RECV:
        return datagram[start + _RETRANSMITS], 0
    if INFO not in layout:
        return 0, 0
    at = start + layout[INFO]
    (segments,) = _RESENT.unpack_from(datagram, at)
    if not segments or inet_diag.length_of(datagram, at) < _RESENT_BYTES.size:
        return segments, 0
    return segments, _RESENT_BYTES.unpack_from(datagram, at)[0]
