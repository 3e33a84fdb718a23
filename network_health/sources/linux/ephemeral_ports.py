"""Finds the addresses and remote port with the most ephemeral ports in use, from ``NETLINK_SOCK_DIAG``.

See sock_diag(7) and inet_diag.h. Guarantees: ports are counted for each 3-tuple of local address, remote
address and remote port, in every state except LISTEN and SYN_RECV.
"""

# For each such 3-tuple (a `Route`) the kernel has the whole range of ports. An accepted connection has a
# remote port of its own, so it is a 3-tuple with one port. The kernel sends only sockets in the port range.

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Mapping

from network_health.model import PortUse, Share
from network_health.sources.linux import inet_diag

_LOCAL_PORT_GE, _LOCAL_PORT_LE = 2, 3
#: ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING
_STATES = sum(1 << state for state in (1, 2, 4, 5, 6, 8, 9, 11))
#: Remote port, local address and remote address in an inet_diag_msg.
_ROUTE_AT, _ROUTE_END = 6, 40

#: Address family; remote port (2 bytes), local address (16) and remote address (16), in network byte order.
Route = tuple[int, bytes]


def read_busiest(first: int, last: int) -> PortUse | None:
    """The route with the most local ports from ``first`` to ``last``; ``None`` if none is in use.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    counts = inet_diag.dump(_request(first, last), Counter[Route], count_routes)
    return busiest(counts, last - first + 1)


def count_routes(datagram: bytes, counts: Counter[Route]) -> bool:
    """Add the route of each socket in one datagram of a dump to ``counts``; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """

    def add(start: int, _: int) -> None:
        counts[datagram[start], datagram[start + _ROUTE_AT : start + _ROUTE_END]] += 1

    return inet_diag.for_each_socket(datagram, add, kinds=(inet_diag.TCP_OF_BOTH_FAMILIES,))


def busiest(counts: Mapping[Route, int], available: int) -> PortUse | None:
    """The route with the most sockets, of ``available`` ports; the first by address if several are equal.

    IPv4 connections of IPv6 sockets are counted as IPv4: they share the same ports.
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
    if family == socket.AF_INET6 and route[2:14] == inet_diag.MAPPED:
        return socket.AF_INET, route[:2] + route[14:18] + bytes(12) + route[30:] + bytes(12)
    return family, route


def _request(first: int, last: int) -> bytes:
    """Requests the TCP sockets in `_STATES` whose local port is in the range."""
    # A failed condition jumps by its third number, past the end of the bytecode: the socket is not sent.
    condition = struct.pack("=BBHBBH", _LOCAL_PORT_GE, 8, 20, 0, 0, first)
    condition += struct.pack("=BBHBBH", _LOCAL_PORT_LE, 8, 12, 0, 0, last)
    return inet_diag.tcp_request(_STATES, condition=condition)
