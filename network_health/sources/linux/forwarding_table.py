"""Reads which interfaces receive packets for a hardware address, from ``NETLINK_ROUTE``.

See rtnetlink(7) and neighbour.h; the same lists as those of ``bridge fdb show``.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Collection
from functools import partial
from typing import NamedTuple

from network_health.sources.linux import netlink
from network_health.sources.linux.next_hops import GETNEIGH, NDA_LLADDR, NEIGHBOUR, NEWNEIGH

_NETLINK_ROUTE = 0
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, change
_IFLA_MASTER = 10
_NTF_SELF = 2
_MULTICAST = 1  # in the first byte of an address


class Entry(NamedTuple):
    """A unicast address and its interface. With ``is_own`` the interface itself receives the packets."""

    interface: int
    address: bytes
    is_own: bool


def read_unicast_addresses(index: int) -> set[bytes]:
    """The further addresses that an interface receives packets for, also those of macvlans on it that are up.

    Macvlans in other network namespaces are included.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    request = netlink.dump_request(GETNEIGH, _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0))
    return {each.address for each in _dump(request, lambda each: each.is_own and each.interface == index)}


def read_bridge_ports(bridge: int, addresses: Collection[bytes]) -> dict[bytes, int]:
    """The port behind which a bridge has seen each address; without those behind none, or behind several.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    master = netlink.attribute(_IFLA_MASTER, struct.pack("=I", bridge))
    request = netlink.dump_request(GETNEIGH, _LINK.pack(socket.AF_BRIDGE, 0, 0, 0, 0) + master)
    ports: dict[bytes, set[int]] = {}
    # An address that is in several VLANs has several entries.
    for each in _dump(request, lambda each: not each.is_own and each.address in addresses):
        ports.setdefault(each.address, set()).add(each.interface)
    return {address: behind.pop() for address, behind in ports.items() if len(behind) == 1}


def parse(datagram: bytes, entries: set[Entry], is_wanted: Callable[[Entry], bool]) -> bool:
    """Add the wanted entries in one datagram; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """

    def add(body: tuple[int, ...], start: int, end: int) -> None:
        _, index, _, flags, _ = body
        found = netlink.attributes(datagram, start, end, {NDA_LLADDR})
        entry = Entry(index, found.get(NDA_LLADDR, b""), bool(flags & _NTF_SELF))
        if entry.address and not entry.address[0] & _MULTICAST and is_wanted(entry):
            entries.add(entry)

    return netlink.for_each(datagram, NEWNEIGH, NEIGHBOUR, add)


def _dump(request: bytes, is_wanted: Callable[[Entry], bool]) -> set[Entry]:
    return netlink.dump(_NETLINK_ROUTE, request, set[Entry], partial(parse, is_wanted=is_wanted))
