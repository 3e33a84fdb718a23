"""Builds requests for ``NETLINK_SOCK_DIAG`` and parses the answers; see sock_diag(7) and inet_diag.h.

Guarantees: a message of another type or length is a `KernelFormatError`. Attributes may be in any order, and
may be missing.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection
from typing import TypeVar

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError

T = TypeVar("T")

PROTOCOL = 4  # NETLINK_SOCK_DIAG
TCP_OF_BOTH_FAMILIES = 18  # TCPDIAG_GETSOCK: IPv4 and IPv6 in one dump
_OF_ONE_FAMILY = 20  # SOCK_DIAG_BY_FAMILY, also the type of messages about closed sockets
KINDS = (TCP_OF_BOTH_FAMILIES, _OF_ONE_FAMILY)
_IPPROTO_UDP = 17

#: psutil's names. The kernel's BOUND_INACTIVE (13) is left out: /proc does not list such sockets.
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
#: All states, as a bit mask for requests.
ALL = sum(1 << state for state in STATES)

BODY = 72  # bytes of an inet_diag_msg; attributes may follow
#: The prefix of an IPv4 address in an IPv6 socket.
MAPPED = bytes(10) + b"\xff\xff"

INFO, MEMORY, MARK, CGROUP = 2, 7, 15, 21  # INET_DIAG_INFO, _SKMEMINFO, _MARK, _CGROUP_ID
#: The minimum length of each attribute's value; a shorter one is ignored.
_LENGTH = {INFO: 136, MEMORY: 36, MARK: 4, CGROUP: 8}
_ATTRIBUTE = struct.Struct("=HH")
_BYTECODE = 1  # INET_DIAG_REQ_BYTECODE


def tcp_request(states: int, extensions: int = 0, condition: bytes = b"") -> bytes:
    """Requests the TCP sockets in these states; bit n - 1 of ``extensions`` requests attribute n.

    ``condition`` is bytecode that the kernel runs for each socket; see inet_diag.h.
    """
    body = struct.pack("=BBBB48xII", 0, 0, 0, extensions, states, 0)  # inet_diag_req
    if condition:
        body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(condition), _BYTECODE) + condition
    return netlink.dump_request(TCP_OF_BOTH_FAMILIES, body)


def udp_request(family: int, states: int = ALL, extensions: int = 0) -> bytes:
    """Requests the UDP sockets of one family in these states: ESTABLISHED if connected, else CLOSE.

    Bit n - 1 of ``extensions`` requests attribute n.
    """
    body = struct.pack("=BBBBI48x", family, _IPPROTO_UDP, extensions, 0, states)  # inet_diag_req_v2
    return netlink.dump_request(_OF_ONE_FAMILY, body)


def dump(request: bytes, empty: Callable[[], T], parse: Callable[[bytes, T], bool]) -> T:
    """`netlink.dump` of the calling thread's network namespace."""
    return netlink.dump(PROTOCOL, request, empty, parse)


def check(kind: int, start: int, end: int, kinds: Collection[int] = KINDS) -> None:
    """Check the type and length of a socket's message.

    Raises:
        KernelFormatError: it is not the message of a socket.
    """
    if kind not in kinds or end - start < BODY:
        raise KernelFormatError(f"sock_diag: a message of kind {kind} and {end - start} bytes")


def for_each_socket(
    datagram: bytes, handle: Callable[[int, int], object], kinds: Collection[int] = KINDS
) -> bool:
    """Call ``handle`` with start and end of each socket's message body; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        check(kind, start, end, kinds)
        handle(start, end)
    return False


def state_of(number: int, protocol: str) -> str:
    """The name of a state; for UDP it is ``NONE``.

    Raises:
        KernelFormatError: the state is unknown.
    """
    name = STATES.get(number)
    if name is None:
        raise KernelFormatError(f"sock_diag: state {number}")
    return name if protocol == "tcp" else "NONE"


def addresses(family: int, local: bytes, remote: bytes) -> tuple[bytes, bytes]:
    """The addresses of a socket, 4 or 16 bytes; an IPv6 socket that carries IPv4 has IPv4 addresses.

    Raises:
        KernelFormatError: the family is not IPv4 or IPv6.
    """
    if family == socket.AF_INET:
        return local[:4], remote[:4]
    if family != socket.AF_INET6:
        raise KernelFormatError(f"sock_diag: a socket of family {family}")
    if MAPPED in (local[:12], remote[:12]):
        return local[12:], remote[12:]
    return local, remote


class Layouts:
    """Finds the attributes ``kinds`` in messages.

    Messages of the same length usually have the same layout, so the last layout of a length is tried first.
    """

    def __init__(self, *kinds: int) -> None:
        self._kinds = kinds
        self._known: dict[int, dict[int, int]] = {}

    def of(self, datagram: bytes, start: int, end: int) -> dict[int, int]:
        """The offset of each attribute's value from ``start``; a missing attribute has none.

        Raises:
            KernelFormatError: a length does not fit.
        """
        layout = self._known.get(end - start)
        if layout is None or not _fits(datagram, start, layout):
            layout = self._known[end - start] = self._find(datagram, start, end)
        return layout

    def _find(self, datagram: bytes, start: int, end: int) -> dict[int, int]:
        layout, at = {}, start + BODY
        while at < end:
            if end - at < _ATTRIBUTE.size:
                raise KernelFormatError(f"sock_diag: {end - at} bytes where an attribute should be")
            length, kind = _ATTRIBUTE.unpack_from(datagram, at)
            if not _ATTRIBUTE.size <= length <= end - at:
                raise KernelFormatError(f"sock_diag: an attribute of {length} bytes in {end - at}")
            if kind in self._kinds and length >= _ATTRIBUTE.size + _LENGTH[kind]:
                layout[kind] = at + _ATTRIBUTE.size - start
            at += length + 3 & ~3
        return layout


def length_of(datagram: bytes, at: int) -> int:
    """The length of the attribute whose value begins at ``at``."""
    length: int = _ATTRIBUTE.unpack_from(datagram, at - _ATTRIBUTE.size)[0]
    return length - _ATTRIBUTE.size


def _fits(datagram: bytes, start: int, layout: dict[int, int]) -> bool:
    for kind, at in layout.items():
        length, found = _ATTRIBUTE.unpack_from(datagram, start + at - _ATTRIBUTE.size)
        if found != kind or length < _ATTRIBUTE.size + _LENGTH[kind]:
            return False
    return True
