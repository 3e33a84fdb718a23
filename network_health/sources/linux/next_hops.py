"""Reads to which hardware address packets go, and which port of a bridge has it, from ``NETLINK_ROUTE``.

See rtnetlink(7) and neighbour.h; the same as ``ip neigh get`` and ``bridge fdb get``. Guarantees: what the
kernel does not know is unknown.
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
_NDA_DST, NDA_LLADDR, _NDA_MASTER = 1, 2, 9
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
            entry = _entry(ask, body)
            if entry and entry[1]:
                found[hop] = entry[1]
    return found


def read_bridge_ports(addresses: Collection[tuple[int, bytes]]) -> dict[tuple[int, bytes], int]:
    """The port of each bridge, by index, and hardware address; without those that are unknown.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    found = {}
    with netlink.exchange(_NETLINK_ROUTE) as ask:
        for bridge, address in addresses:
            body = NEIGHBOUR.pack(socket.AF_BRIDGE, 0, 0, 0, 0) + attribute(NDA_LLADDR, address)
            entry = _entry(ask, body + attribute(_NDA_MASTER, struct.pack("=I", bridge)))
            if entry:
                found[bridge, address] = entry[0]
    return found


def parse_entry(datagram: bytes) -> tuple[int, bytes]:
    """The interface and the hardware address of one entry; the address is empty if it is not resolved.

    Raises:
        OSError: there is no such entry.
        KernelFormatError: the answer has an unknown format.
    """
    kind, start, end = next(netlink.messages(datagram))
    if kind != NEWNEIGH or end - start < NEIGHBOUR.size:
        raise KernelFormatError(f"rtnetlink: a message of kind {kind} and {end - start} bytes")
    found = netlink.attributes(datagram, start + NEIGHBOUR.size, end, {NDA_LLADDR})
    return NEIGHBOUR.unpack_from(datagram, start)[1], found.get(NDA_LLADDR, b"")


def _entry(ask: Callable[[int, bytes], bytes], body: bytes) -> tuple[int, bytes] | None:
    answer = ask(GETNEIGH, body)
    try:
        return parse_entry(answer)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        return None
