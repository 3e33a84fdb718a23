"""Every socket with its addresses, owner's inode and bytes, from ``NETLINK_SOCK_DIAG``; see sock_diag(7).

Laws: a socket over IPv6 that carries IPv4 is listed with its IPv4 addresses. A listing is a dump of
the calling thread's network namespace. An attribute that a kernel does not send leaves its default.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from network_health.evidence import Socket
from network_health.linux import netlink
from network_health.linux.errors import KernelFormatError

__all__ = ["NETLINK_SOCK_DIAG", "parse", "read_listeners", "read_moving", "read_tcp", "read_udp"]

NETLINK_SOCK_DIAG = 4
_TCP_OF_BOTH_FAMILIES = 18  # TCPDIAG_GETSOCK
_OF_ONE_FAMILY = 20  # SOCK_DIAG_BY_FAMILY, and what announces the end of a socket
_IPPROTO_UDP = 17

#: inet_diag_msg: family, state, ports, addresses, cookie, rqueue, wqueue, uid, inode
_MESSAGE = struct.Struct("=BBxxHH16s16s4xQ4xIIII")
_ATTRIBUTE = struct.Struct("=HH")
_INFO, _MEMORY, _CGROUP = 2, 7, 21  # INET_DIAG_INFO, INET_DIAG_SKMEMINFO, INET_DIAG_CGROUP_ID
_WANTED = (_INFO, _MEMORY, _CGROUP)
_BYTES = struct.Struct("=120xQQ")  # tcp_info: tcpi_bytes_acked, tcpi_bytes_received
_DROPS = struct.Struct("=32xI")  # SK_MEMINFO_DROPS
_CGROUP_ID = struct.Struct("=Q")

_STATES = (
    "",
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
)
_LISTEN = 1 << 10
_ALL = sum(1 << state for state in range(1, len(_STATES)))
_MOVING = _ALL & ~(1 << 2 | 1 << 3 | 1 << 6)  # but SYN_SENT, SYN_RECV, TIME_WAIT: they carry nothing
#: What an IPv4 address starts with in an IPv6 socket.
_MAPPED = bytes(10) + b"\xff\xff"


def read_tcp() -> list[Socket]:
    """All TCP sockets.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read.
    """
    return _dump_tcp(_ALL, 0)


def read_moving() -> list[Socket]:
    """The TCP sockets that can carry data, with the bytes that they carried, and the listeners.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read.
    """
    return _dump_tcp(_MOVING, 1 << _INFO - 1)


def read_listeners() -> list[Socket]:
    """The TCP sockets that listen, with the connections that they refused.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read.
    """
    return _dump_tcp(_LISTEN, 1 << _MEMORY - 1)


def read_udp() -> list[Socket]:
    """All UDP sockets; their state is ``NONE``.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read.
    """
    found = []
    for family in (socket.AF_INET, socket.AF_INET6):
        body = struct.pack("=BBBBI48x", family, _IPPROTO_UDP, 0, 0, _ALL)  # inet_diag_req_v2
        found += _dump(netlink.dump_request(_OF_ONE_FAMILY, body), "udp")
    return found


def parse(datagram: bytes, sockets: list[Socket], protocol: str = "tcp") -> bool:
    """Add the sockets of one datagram to ``sockets``; True when a dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    unpack, size, swap = _MESSAGE.unpack_from, _MESSAGE.size, socket.ntohs
    layouts: dict[int, dict[int, int]] = {}
    known: dict[bytes, bytes] = {}  # many sockets have the same addresses: keep each once
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        if kind not in (_TCP_OF_BOTH_FAMILIES, _OF_ONE_FAMILY) or end - start < size:
            raise KernelFormatError(f"sock_diag: a message of kind {kind} and {end - start} bytes")
        family, state, port, peer_port, local, remote, cookie, queued, limit, uid, inode = unpack(
            datagram, start
        )
        if family == socket.AF_INET or local[:12] == _MAPPED or remote[:12] == _MAPPED:
            at = 0 if family == socket.AF_INET else 12
            local, remote = local[at : at + 4], remote[at : at + 4]
        local, remote = known.setdefault(local, local), known.setdefault(remote, remote)
        if state >= len(_STATES):
            raise KernelFormatError(f"sock_diag: state {state}")
        layout = layouts.get(end - start)
        if layout is None or not _fits(datagram, start, layout):
            layout = layouts[end - start] = _layout(datagram, start, end)
        sent, received, drops, cgroup = _attributes(datagram, start, layout)
        listens = state == 10
        sockets.append(
            Socket(
                protocol,
                _STATES[state] if protocol == "tcp" else "NONE",
                local,
                swap(port),
                remote,
                swap(peer_port),
                uid,
                inode,
                cookie,
                cgroup,
                sent,
                received,
                queued if listens else 0,
                limit if listens else 0,
                drops,
            )
        )
    return False


def _layout(datagram: bytes, start: int, end: int) -> dict[int, int]:
    """Where the header of each wanted attribute is, from the start of a message's body.

    Messages of one length have theirs in the same places, which saves walking them; `_fits` sees to it.
    """
    layout, at = {}, start + _MESSAGE.size
    while at < end:
        if end - at < _ATTRIBUTE.size:
            raise KernelFormatError(f"sock_diag: {end - at} bytes where an attribute should be")
        length, kind = _ATTRIBUTE.unpack_from(datagram, at)
        if not _ATTRIBUTE.size <= length <= end - at:
            raise KernelFormatError(f"sock_diag: an attribute of {length} bytes in {end - at}")
        if kind in _WANTED and length >= _ATTRIBUTE.size + _VALUES[kind].size:
            layout[kind] = at - start
        at += length + 3 & ~3
    return layout


_VALUES = {_INFO: _BYTES, _MEMORY: _DROPS, _CGROUP: _CGROUP_ID}


def _fits(datagram: bytes, start: int, layout: dict[int, int]) -> bool:
    for kind, at in layout.items():
        length, found = _ATTRIBUTE.unpack_from(datagram, start + at)
        if found != kind or length < _ATTRIBUTE.size + _VALUES[kind].size:
            return False
    return True


def _attributes(datagram: bytes, start: int, layout: dict[int, int]) -> tuple[int, int, int, int]:
    """Bytes sent and received, drops, and the cgroup's id."""
    sent = received = drops = cgroup = 0
    if _INFO in layout:
        sent, received = _BYTES.unpack_from(datagram, start + layout[_INFO] + _ATTRIBUTE.size)
    if _MEMORY in layout:
        (drops,) = _DROPS.unpack_from(datagram, start + layout[_MEMORY] + _ATTRIBUTE.size)
    if _CGROUP in layout:
        (cgroup,) = _CGROUP_ID.unpack_from(datagram, start + layout[_CGROUP] + _ATTRIBUTE.size)
    return sent, received, drops, cgroup


def _dump_tcp(states: int, extensions: int) -> list[Socket]:
    body = struct.pack("=BBBB48xII", 0, 0, 0, extensions, states, 0)  # inet_diag_req
    return _dump(netlink.dump_request(_TCP_OF_BOTH_FAMILIES, body), "tcp")


def _dump(request: bytes, protocol: str) -> list[Socket]:
    start: Callable[[], list[Socket]] = list
    return netlink.dump(NETLINK_SOCK_DIAG, request, start, lambda d, found: parse(d, found, protocol))
