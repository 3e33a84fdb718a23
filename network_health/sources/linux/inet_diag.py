"""The messages of ``NETLINK_SOCK_DIAG``: requests, and what is where in an answer.

See sock_diag(7) and inet_diag.h. Laws: what is no such message is refused by name. The kernel may send
attributes in any order, and leave any out.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError

PROTOCOL = 4  # NETLINK_SOCK_DIAG
TCP_OF_BOTH_FAMILIES = 18  # TCPDIAG_GETSOCK: IPv4 and IPv6 in one walk
_OF_ONE_FAMILY = 20  # SOCK_DIAG_BY_FAMILY, and what announces the end of a socket
KINDS = (TCP_OF_BOTH_FAMILIES, _OF_ONE_FAMILY)
_IPPROTO_UDP = 17

#: psutil's names. The kernel's BOUND_INACTIVE (13) is not asked for: /proc does not list such sockets.
STATES = {
    1: "ESTABLISHED",
    2: "SYN_SENT",
    3: "SYN_RECV",
    4: "FIN_WAIT1",
    5: "FIN_WAIT2",
    6: "TIME_WAIT",
    7: "CLOSE",
    8: "CLOSE_WAIT",
    9: "LAST_ACK",
    10: "LISTEN",
    11: "CLOSING",
}
#: All of them, as a request has them.
ALL = sum(1 << state for state in STATES)

BODY = 72  # bytes of an inet_diag_msg; attributes may follow
#: What an IPv4 address starts with in an IPv6 socket.
_MAPPED = bytes(10) + b"\xff\xff"

INFO, MEMORY, CGROUP = 2, 7, 21  # INET_DIAG_INFO, INET_DIAG_SKMEMINFO, INET_DIAG_CGROUP_ID
#: How much of each is read.
_READ = {INFO: 136, MEMORY: 36, CGROUP: 8}
_ATTRIBUTE = struct.Struct("=HH")
_BYTECODE = 1  # INET_DIAG_REQ_BYTECODE


def tcp_request(states: int, extensions: int = 0, condition: bytes = b"") -> bytes:
    """Asks for the TCP sockets in these states; of ``extensions`` bit n - 1 asks for attribute n.

    ``condition`` is bytecode that the kernel runs for each socket; see inet_diag.h.
    """
    body = struct.pack("=BBBB48xII", 0, 0, 0, extensions, states, 0)  # inet_diag_req
    if condition:
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(condition), _BYTECODE) + condition
    return netlink.dump_request(TCP_OF_BOTH_FAMILIES, body)


def udp_request(family: int, states: int = ALL) -> bytes:
    """Asks for the UDP sockets of one family in these states: ESTABLISHED if connected, else CLOSE."""
    body = struct.pack("=BBBBI48x", family, _IPPROTO_UDP, 0, 0, states)  # inet_diag_req_v2
    return netlink.dump_request(_OF_ONE_FAMILY, body)


def check(kind: int, start: int, end: int, kinds: Collection[int] = KINDS) -> None:
    """Whether a message of this kind and length is one of a socket, and of one of ``kinds``.

    Raises:
        KernelFormatError: it is not.
    """
    if kind not in kinds or end - start < BODY:
        raise KernelFormatError(f"sock_diag: a message of kind {kind} and {end - start} bytes")


def walk(datagram: bytes, visit: Callable[[int, int], object], kinds: Collection[int] = KINDS) -> bool:
    """Call ``visit`` with where the message of each socket starts and ends; True when a dump ends here.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        check(kind, start, end, kinds)
        visit(start, end)
    return False


def state_of(number: int, protocol: str) -> str:
    """A state by name; UDP sockets have none, ``NONE``.

    Raises:
        KernelFormatError: it is not known.
    """
    name = STATES.get(number)
    if name is None:
        raise KernelFormatError(f"sock_diag: state {number}")
    return name if protocol == "tcp" else "NONE"


def addresses(family: int, local: bytes, remote: bytes) -> tuple[bytes, bytes]:
    """The two addresses of a socket, of 4 or 16 bytes; an IPv6 socket that carries IPv4 has IPv4 addresses.

    Raises:
        KernelFormatError: the family is neither.
    """
    if family == socket.AF_INET:
        return local[:4], remote[:4]
    if family != socket.AF_INET6:
        raise KernelFormatError(f"sock_diag: a socket of family {family}")
    if _MAPPED in (local[:12], remote[:12]):
        return local[12:], remote[12:]
    return local, remote


class Layouts:
    """Where the attributes ``kinds`` of messages are.

    Messages of one length mostly have theirs in the same places, which saves walking them.
    """

    def __init__(self, *kinds: int) -> None:
        self._kinds = kinds
        self._known: dict[int, dict[int, int]] = {}

    def of(self, datagram: bytes, start: int, end: int) -> dict[int, int]:
        """Where the value of each attribute that is there starts, counted from ``start``.

        Raises:
            KernelFormatError: a length does not fit.
        """
        layout = self._known.get(end - start)
        if layout is None or not _fits(datagram, start, layout):
            layout = self._known[end - start] = self._walked(datagram, start, end)
        return layout

    def _walked(self, datagram: bytes, start: int, end: int) -> dict[int, int]:
        layout, at = {}, start + BODY
        while at < end:
            if end - at < _ATTRIBUTE.size:
                raise KernelFormatError(f"sock_diag: {end - at} bytes where an attribute should be")
            length, kind = _ATTRIBUTE.unpack_from(datagram, at)
            if not _ATTRIBUTE.size <= length <= end - at:
                raise KernelFormatError(f"sock_diag: an attribute of {length} bytes in {end - at}")
            if kind in self._kinds and length >= _ATTRIBUTE.size + _READ[kind]:
                layout[kind] = at + _ATTRIBUTE.size - start
            at += length + 3 & ~3
        return layout


def _fits(datagram: bytes, start: int, layout: dict[int, int]) -> bool:
    for kind, at in layout.items():
        length, found = _ATTRIBUTE.unpack_from(datagram, start + at - _ATTRIBUTE.size)
        if found != kind or length < _ATTRIBUTE.size + _READ[kind]:
            return False
    return True
