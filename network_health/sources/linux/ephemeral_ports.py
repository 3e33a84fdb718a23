"""Which remote address and port has the most ephemeral ports of this host, from ``NETLINK_SOCK_DIAG``.

See sock_diag(7) and inet_diag.h. Laws: a connection without a bound port needs a port that no other
one has with the same local address, remote address and remote port, so ports are counted per those
three, over every state but LISTEN and SYN_RECV. The kernel sends only the sockets whose local port
is in the range. An accepted connection has a remote port of its own, and so is a group of one.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter
from collections.abc import Mapping

from network_health.model import PortUse, Share
from network_health.sources.linux import inet_diag, netlink

_LOCAL_PORT_GE, _LOCAL_PORT_LE = 2, 3
#: ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, TIME_WAIT, CLOSE_WAIT, LAST_ACK, CLOSING
_STATES = sum(1 << state for state in (1, 2, 4, 5, 6, 8, 9, 11))
#: Where an inet_diag_msg, which begins with the family, has remote port, local and remote address.
_ROUTE_AT, _ROUTE_END = 6, 40
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
    counts = netlink.dump(inet_diag.PROTOCOL, _request(first, last), Counter[Route], count_routes)
    return busiest(counts, last - first + 1)


def count_routes(datagram: bytes, counts: Counter[Route]) -> bool:
    """Add the route of each socket in one datagram of a dump; True when the dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """

    def add(start: int, _: int) -> None:
        counts[datagram[start], datagram[start + _ROUTE_AT : start + _ROUTE_END]] += 1

    return inet_diag.walk(datagram, add, kinds=(inet_diag.TCP_OF_BOTH_FAMILIES,))


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
    """A dump of the TCP sockets in `_STATES` whose local port the kernel finds in the range."""
    condition = struct.pack("=BBHBBH", _LOCAL_PORT_GE, 8, 20, 0, 0, first)  # else: past the end, no match
    condition += struct.pack("=BBHBBH", _LOCAL_PORT_LE, 8, 12, 0, 0, last)
    return inet_diag.tcp_request(_STATES, condition=condition)
