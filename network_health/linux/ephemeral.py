"""Which remote address and port has the most ephemeral ports of this host, from ``NETLINK_SOCK_DIAG``.

See sock_diag(7) and inet_diag.h. Laws: a connection without a bound port needs a port that no other
one has with the same local address, remote address and remote port, so ports are counted per those
three, over every state but LISTEN and SYN_RECV. The kernel sends only the sockets whose local port
is in the range. An accepted connection has a remote port of its own, and so is a group of one.
"""

from __future__ import annotations

import os
import socket
import struct
from collections import Counter
from collections.abc import Mapping

from network_health.linux.errors import KernelFormatError
from network_health.model import PortUse, Share

__all__ = ["Route", "busiest", "parse_routes", "read_busiest"]

_NETLINK_SOCK_DIAG = 4
_TCPDIAG_GETSOCK = 18  # walks IPv4 and IPv6 in one pass
_DUMP = 0x301  # NLM_F_REQUEST | NLM_F_ROOT | NLM_F_MATCH
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_HEADER = struct.Struct("=IHHII")
_BYTECODE = 1  # INET_DIAG_REQ_BYTECODE
_LOCAL_PORT_GE, _LOCAL_PORT_LE = 2, 3
#: ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING
_STATES = sum(1 << state for state in (1, 2, 4, 5, 6, 8, 9, 11))
#: In a message: the family; then, one after the other, remote port, local and remote address.
_FAMILY_AT, _ROUTE_AT, _ROUTE_END = _HEADER.size, _HEADER.size + 6, _HEADER.size + 40
#: What an IPv4 address starts with in an IPv6 socket.
_MAPPED = bytes(10) + b"\xff\xff"

#: Address family; remote port (2 bytes), local address (16) and remote address (16) as sent.
Route = tuple[int, bytes]


def read_busiest(first: int, last: int) -> PortUse | None:
    """The route with the most local ports from ``first`` to ``last``; ``None`` without any.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read.
    """
    counts: Counter[Route] = Counter()
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as netlink:
        netlink.sendto(_request(first, last), (0, 0))
        done = False
        while not done:
            found, done = parse_routes(netlink.recv(1 << 16))
            counts.update(found)
    return busiest(counts, last - first + 1)


def parse_routes(batch: bytes) -> tuple[list[Route], bool]:
    """The route of each socket in one batch of messages, and whether the dump ends with it.

    Raises:
        OSError: the batch says that the kernel refuses.
        KernelFormatError: it is not a batch of such messages.
    """
    routes: list[Route] = []
    at = 0
    while at < len(batch):
        if len(batch) - at < _HEADER.size + 4:
            raise KernelFormatError(f"sock_diag: {len(batch) - at} bytes are no message")
        length, kind, *_ = _HEADER.unpack_from(batch, at)
        if kind in (_NLMSG_DONE, _NLMSG_ERROR):
            (code,) = struct.unpack_from("=i", batch, at + _HEADER.size)
            if code < 0:
                raise OSError(-code, f"sock_diag: {os.strerror(-code)}")
            return routes, True
        if kind != _TCPDIAG_GETSOCK or length < _ROUTE_END or at + length > len(batch):
            raise KernelFormatError(f"sock_diag: message of kind {kind} and {length} bytes")
        routes.append((batch[at + _FAMILY_AT], batch[at + _ROUTE_AT : at + _ROUTE_END]))
        at += length + 3 & ~3
    return routes, False


def busiest(counts: Mapping[Route, int], available: int) -> PortUse | None:
    """The route with the most sockets, of ``available`` ports; of equals the first by address.

    An IPv4 connection of an IPv6 socket takes its ports from the same ones as those of IPv4 sockets.
    """
    used: Counter[Route] = Counter()
    for route, count in counts.items():
        used[_as_ipv4(*route)] += count
    if not used:
        return None
    (family, busy), most = min(used.items(), key=lambda item: (-item[1], item[0]))
    size = 4 if family == socket.AF_INET else 16
    return PortUse(
        local=socket.inet_ntop(family, busy[2 : 2 + size]),
        remote=socket.inet_ntop(family, busy[18 : 18 + size]),
        remote_port=int.from_bytes(busy[:2], "big"),
        ports=Share(most, available),
    )


def _as_ipv4(family: int, route: bytes) -> Route:
    if family == socket.AF_INET6 and route[2:14] == _MAPPED:
        return socket.AF_INET, route[:2] + route[14:18] + bytes(12) + route[30:] + bytes(12)
    return family, route


def _request(first: int, last: int) -> bytes:
    """A dump of TCP sockets in `_STATES` whose local port is in the range, in the old request format."""
    condition = struct.pack("=BBHBBH", _LOCAL_PORT_GE, 8, 20, 0, 0, first)
    condition += struct.pack("=BBHBBH", _LOCAL_PORT_LE, 8, 12, 0, 0, last)
    request = struct.pack("=BBBB48xII", 0, 0, 0, 0, _STATES, 0)
    request += struct.pack("=HH", 4 + len(condition), _BYTECODE) + condition
    return _HEADER.pack(_HEADER.size + len(request), _TCPDIAG_GETSOCK, _DUMP, 1, 0) + request
