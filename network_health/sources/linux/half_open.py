"""Counts half-open connections by port and remote address, from ``NETLINK_SOCK_DIAG``; see sock_diag(7).

Guarantees: a list has the connections in SYN_RECV of the calling thread's network namespace. The number of
addresses is bounded, however many addresses send SYNs.
"""

from __future__ import annotations

import socket
import struct
from collections import Counter

from network_health.model import HalfOpen
from network_health.sources.linux import inet_diag

_MESSAGE = struct.Struct("=B3xH2x16s16s")  # of inet_diag_msg: family, local port, addresses
_SYN_RECV = 3
#: Further addresses are only in the number of connections.
_MAX_ADDRESSES = 65536


class Listing:
    """Connections by port, and by port and remote address."""

    def __init__(self) -> None:
        self.connections: Counter[int] = Counter()
        self.addresses: Counter[tuple[int, bytes]] = Counter()


def read_half_open() -> list[HalfOpen]:
    """The half-open connections of each local port that has some, the most first.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    listing = inet_diag.dump(inet_diag.tcp_request(1 << _SYN_RECV), Listing, parse)
    by_port: dict[int, dict[bytes, int]] = {port: {} for port in listing.connections}
    for (port, remote), n in listing.addresses.items():
        by_port[port][remote] = n
    return [HalfOpen(port, n, by_port[port]) for port, n in listing.connections.most_common()]


def parse(datagram: bytes, listing: Listing) -> bool:
    """Count the connections of one datagram; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """

    def add(start: int, _: int) -> None:
        family, port, local, address = _MESSAGE.unpack_from(datagram, start)
        port = socket.ntohs(port)
        remote = inet_diag.addresses(family, local, address)[1]
        listing.connections[port] += 1
        if (port, remote) in listing.addresses or len(listing.addresses) < _MAX_ADDRESSES:
            listing.addresses[port, remote] += 1

    return inet_diag.for_each_socket(datagram, add)
