"""Receives which routes have changed, from ``NETLINK_ROUTE``; see rtnetlink(7)."""

from __future__ import annotations

import errno
import socket
import struct

from network_health.sources.linux import netlink
from network_health.sources.linux.interface_addresses import network_of

_NETLINK_ROUTE = 0
_GROUPS = 0x40 | 0x400 | 0x80 | 1 << 18  # IPV4_ROUTE, IPV6_ROUTE, IPV4_RULE, IPV6_RULE
_NEWROUTE, _DELROUTE, _NEWRULE, _DELRULE = 24, 25, 32, 33
_ROUTE = struct.Struct("=BB10x")  # rtmsg: family, length of the destination's prefix
_RTA_DST = 1
_ADDRESS_BYTES = {int(socket.AF_INET): 4, int(socket.AF_INET6): 16}
#: About a thousand announcements.
_BUFFER_BYTES = 1 << 20
_MAX_DATAGRAM_BYTES = 1 << 16
_MAX_DATAGRAMS = 4096
_MAX_NETWORKS = 1000


class ChangedRoutes:
    """The networks whose routes have changed: as bytes of an address, prefix length, and first bits.

    ``all`` is true if it is not known which ones.
    """

    def __init__(self) -> None:
        self.networks: set[tuple[int, int, int]] = set()
        self.all = False
        self._lengths: set[tuple[int, int]] = set()

    def add(self, destination: bytes, prefix: int) -> None:
        """Add the network that has the first ``prefix`` bits of a packed address."""
        self._lengths.add((len(destination), prefix))
        self.networks.add((len(destination), prefix, network_of(destination, prefix)))
        self.all = self.all or len(self.networks) > _MAX_NETWORKS

    def include(self, address: bytes) -> bool:
        """Whether the route to a packed address may have changed."""
        return self.all or any(
            size == len(address) and (size, prefix, network_of(address, prefix)) in self.networks
            for size, prefix in self._lengths
        )


class RouteChanges:
    """Subscribes to the changes of routes and policy rules in the calling thread's network namespace.

    Raises:
        OSError: the kernel denies access.
    """

    def __init__(self) -> None:
        self._kernel = netlink.subscribe(_NETLINK_ROUTE, _GROUPS, _BUFFER_BYTES)
        self._kernel.setblocking(False)

    def take(self) -> ChangedRoutes:
        """What has changed since the last call.

        Raises:
            KernelFormatError: a message has an unknown format.
            OSError: the kernel reports an error.
        """
        changed = ChangedRoutes()
        for _ in range(_MAX_DATAGRAMS):
            try:
                parse_changes(self._kernel.recv(_MAX_DATAGRAM_BYTES), changed)
            except BlockingIOError:
                return changed
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                changed.all = True
        changed.all = True
        return changed

    def close(self) -> None:
        """Unsubscribe."""
        self._kernel.close()


def parse_changes(datagram: bytes, changed: ChangedRoutes) -> None:
    """Add the networks of one datagram. A changed rule can change all routes.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """
    for kind, start, end in netlink.messages(datagram):
        if kind in (_NEWROUTE, _DELROUTE) and end - start >= _ROUTE.size:
            family, prefix = _ROUTE.unpack_from(datagram, start)
            size = _ADDRESS_BYTES.get(family, 0)
            found = netlink.attributes(datagram, start + _ROUTE.size, end, {_RTA_DST})
            destination = found.get(_RTA_DST, bytes(size))  # a default route has none
            if size and len(destination) == size and prefix <= 8 * size and not changed.all:
                changed.add(destination, prefix)
        elif kind in (_NEWRULE, _DELRULE):
            changed.all = True
