"""Reads the addresses of interfaces and their networks, from ``NETLINK_ROUTE``; see rtnetlink(7)."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError

_NETLINK_ROUTE = 0
_NEWADDR, _GETADDR = 20, 22
_ADDRESS = struct.Struct("=BBBBI")  # ifaddrmsg: family, prefix length, flags, scope, index
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_ADDRESS_BYTES = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}


class InterfaceAddress(NamedTuple):
    """A packed address of an interface, and the first ``prefix`` bits of its neighbours' addresses."""

    interface: int
    address: bytes
    network: int
    prefix: int


def network_of(address: bytes, prefix: int) -> int:
    """The first ``prefix`` bits of a packed address."""
    return int.from_bytes(address, "big") >> 8 * len(address) - prefix


def read_interface_addresses() -> list[InterfaceAddress]:
    """All IPv4 and IPv6 addresses of the calling thread's network namespace.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    request = netlink.dump_request(_GETADDR, _ADDRESS.pack(0, 0, 0, 0, 0))
    return netlink.dump(_NETLINK_ROUTE, request, list[InterfaceAddress], parse_interface_addresses)


def parse_interface_addresses(datagram: bytes, addresses: list[InterfaceAddress]) -> bool:
    """Add the addresses in one datagram; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """

    def add(body: tuple[int, ...], start: int, end: int) -> None:
        family, prefix, _, _, index = body
        size = _ADDRESS_BYTES.get(family)
        if size is None:
            return
        found = netlink.attributes(datagram, start, end, {_IFA_LOCAL, _IFA_ADDRESS})
        # Of a point-to-point link IFA_ADDRESS is the other end's address.
        network = found.get(_IFA_ADDRESS) or found.get(_IFA_LOCAL, b"")
        address = found.get(_IFA_LOCAL) or network
        if not len(address) == len(network) == size or prefix > 8 * size:
            raise KernelFormatError(f"rtnetlink: an address of {len(address)} bytes, family {family}")
        addresses.append(InterfaceAddress(index, address, network_of(network, prefix), prefix))

    return netlink.for_each(datagram, _NEWADDR, _ADDRESS, add)
