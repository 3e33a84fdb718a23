"""Reads the further MAC addresses that an interface receives packets for, from ``NETLINK_ROUTE``.

See rtnetlink(7) and neighbour.h; the same list as ``bridge fdb show dev eth0``. Guarantees: the list has the
address of each macvlan on the interface that is up, in whatever network namespace.
"""

from __future__ import annotations

import socket
import struct

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.next_hops import GETNEIGH, NDA_LLADDR, NEIGHBOUR, NEWNEIGH

_NETLINK_ROUTE = 0
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, change
_NTF_SELF = 2
_MULTICAST = 1  # in the first byte of an address


def read_unicast_addresses(index: int) -> set[bytes]:
    """The addresses of the interface with this index; without its own and without multicast addresses.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """

    def parse_of_interface(datagram: bytes, found: set[bytes]) -> bool:
        return parse(datagram, found, index)

    request = netlink.dump_request(GETNEIGH, _LINK.pack(socket.AF_BRIDGE, 0, index, 0, 0))
    return netlink.dump(_NETLINK_ROUTE, request, set[bytes], parse_of_interface)


def parse(datagram: bytes, addresses: set[bytes], index: int) -> bool:
    """Add the addresses of the interface ``index`` in one datagram; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        if kind != NEWNEIGH or end - start < NEIGHBOUR.size:
            raise KernelFormatError(f"rtnetlink: a message of kind {kind} and {end - start} bytes")
        _, at, _, flags, _ = NEIGHBOUR.unpack_from(datagram, start)
        if at == index and flags & _NTF_SELF:
            found = netlink.attributes(datagram, start + NEIGHBOUR.size, end, {NDA_LLADDR})
            address = found.get(NDA_LLADDR, b"")
            if address and not address[0] & _MULTICAST:
                addresses.add(address)
    return False
