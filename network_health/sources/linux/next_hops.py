"""Reads to which hardware address packets go, from ``NETLINK_ROUTE``; see rtnetlink(7) and neighbour.h.

The same as ``ip neigh get``. Guarantees: what the kernel does not know is unknown.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Collection

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.netlink import attribute
from network_health.sources.linux.routes import Route

_NETLINK_ROUTE = 0
NEWNEIGH, GETNEIGH = 28, 30
NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
_NDA_DST, NDA_LLADDR = 1, 2
_FAMILIES = {4: int(socket.AF_INET), 16: int(socket.AF_INET6)}
#: Errors that say that the kernel knows no such entry, or cannot look up a single one (before Linux 5.0).
_UNKNOWN = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV)


def read_hardware_addresses(hops: Collection[Route]) -> dict[Route, bytes]:
    """The hardware address of the next hop of each route; without those that are unknown.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    found = {}
    with netlink.exchange(_NETLINK_ROUTE) as ask:
        for hop in hops:
            family = _FAMILIES[len(hop.next_hop)]
            body = NEIGHBOUR.pack(family, hop.device, 0, 0, 0) + attribute(_NDA_DST, hop.next_hop)
            address = _address(ask, body)
            if address:
                found[hop] = address
    return found


def parse_address(datagram: bytes) -> bytes:
    """The hardware address of one neighbour; empty if it is not resolved.

    Raises:
        OSError: there is no such neighbour.
        KernelFormatError: the answer has an unknown format.
    """
    kind, start, end = next(netlink.messages(datagram))
    if kind != NEWNEIGH or end - start < NEIGHBOUR.size:
        raise KernelFormatError(f"rtnetlink: a message of kind {kind} and {end - start} bytes")
    return netlink.attributes(datagram, start + NEIGHBOUR.size, end, {NDA_LLADDR}).get(NDA_LLADDR, b"")


def _address(ask: Callable[[int, bytes], bytes], body: bytes) -> bytes:
    answer = ask(GETNEIGH, body)
    try:
        return parse_address(answer)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        return b""
