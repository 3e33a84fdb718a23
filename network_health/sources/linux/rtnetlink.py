"""Reads interfaces from ``NETLINK_ROUTE``; see rtnetlink(7), if_link.h and netdevice(7).

Guarantees: every reading has current counters. Names, addresses, states and speeds are read again after the
kernel announces a change, and after `MAX_CACHE_S`: it does not announce a speed that is set by hand.

Each parser adds the messages of one datagram of a dump to its second argument and returns True if the dump
ends there. It raises OSError if the kernel reports an error, and `KernelFormatError` for an unknown format.
"""

from __future__ import annotations

import array
import fcntl
import os
import select
import socket
import struct
import sys
import time
from dataclasses import replace

from network_health.model import Counters, Link, LinkReading
from network_health.sources.linux import link_announcements, link_stack, netlink
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.interface_addresses import read_interface_addresses

MAX_CACHE_S = 300.0

NETLINK_ROUTE = 0
_NEWLINK, _GETLINK, _NEWSTATS, _GETSTATS = 16, 18, 92, 94
_LINK = struct.Struct("=BxHiII")  # ifinfomsg: family, device type, index, flags, change
_STATS = struct.Struct("=BxxxII")  # if_stats_msg: family, index, filter
_COUNTERS = struct.Struct("=8Q56xQ64x")  # rtnl_link_stats64: its first eight, and rx_missed_errors
#: A message of `dump_stats`: length, type, flags, index, length and type of its only attribute, and counters.
_STATS_MESSAGE = struct.Struct(f"=IHH12xI4xHH{_COUNTERS.size}s")
#: What is before the attribute.
_STATS_HEADER = netlink.HEADER.size + _STATS.size
_NOHANDLER = struct.Struct("=184xQ")  # rtnl_link_stats64: rx_nohandler

_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_OPERSTATE, _IFLA_LINKINFO = 1, 3, 4, 16, 18
_IFLA_CARRIER_CHANGES = 35
_OF_A_LINK = {
    *(_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_OPERSTATE, _IFLA_LINKINFO, _IFLA_CARRIER_CHANGES),
    *(link_stack.LOWER, link_stack.MASTER, link_stack.LOWER_NAMESPACE),
}
_IFLA_INFO_KIND, _IFLA_INFO_DATA = 1, 2
_IFLA_STATS_LINK_64 = 1
_OPERSTATES: dict[int | None, str] = dict(
    enumerate(("unknown", "notpresent", "down", "lowerlayerdown", "testing", "dormant", "up"))
)

_SIOCETHTOOL, _ETHTOOL_GSET = 0x8946, 1
_ETHTOOL_CMD = struct.Struct("=I8xH14xH14x")  # ethtool_cmd: command, speed, upper half of the speed
_IFREQ = struct.Struct("@16sP16x")
_NO_SPEEDS = (0, 0xFFFF, 0xFFFFFFFF)

_GET_LINKS = netlink.dump_request(_GETLINK, _LINK.pack(0, 0, 0, 0, 0))
GET_STATS = netlink.dump_request(_GETSTATS, _STATS.pack(0, 0, 1 << _IFLA_STATS_LINK_64 - 1))


class LinkReader:
    """Reads the interfaces of one network namespace: use it always from the same one."""

    def __init__(self) -> None:
        self._announcements: socket.socket | None = None
        self._cached_at_s = 0.0
        #: By index: the counters in the kernel's format, and the link with these counters.
        self._links: dict[int, tuple[bytes, Link]] = {}
        #: See `LinkReading.announced`.
        self._announced: dict[int, Counters] = {}

    def read(self) -> LinkReading:
        """All interfaces, sorted by index.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        if self._is_outdated():
            self._read_links()
        at_s, stats = time.monotonic(), dump_stats()
        if stats.keys() != self._links.keys():  # an interface was added or removed meanwhile
            self._read_links()
            at_s, stats = time.monotonic(), dump_stats()
        until_s = time.monotonic()
        both = sorted(stats.keys() & self._links.keys())
        links = tuple([self._with_counters(index, stats[index]) for index in both])
        return LinkReading(at_s, links, dict(self._announced), until_s=until_s)

    def close(self) -> None:
        """Close the socket and drop the cache; the next read starts again."""
        if self._announcements is not None:
            self._announcements.close()
        self._announcements = None
        self._links, self._announced = {}, {}

    def _is_outdated(self) -> bool:
        if self._announcements is None or time.monotonic() - self._cached_at_s >= MAX_CACHE_S:
            return True
        poll = select.poll()
        poll.register(self._announcements, select.POLLIN)
        return bool(poll.poll(0))  # an announcement, or an error because some were lost

    def _read_links(self) -> None:
        # Before the dumps, so that no change is missed.
        added: dict[int, bytes] = {}
        if self._announcements is None:
            self._announcements = link_announcements.subscribe()
        else:
            added = link_announcements.added_links(self._announcements, set(self._links))
        self._links, self._cached_at_s = {}, time.monotonic()
        for index, stats in added.items():
            if len(stats) >= _COUNTERS.size:
                self._announced[index] = parse_counters(stats[: _COUNTERS.size])
        links = read_links()
        addresses: dict[tuple[int, int], list[str]] = {}
        for each in read_interface_addresses():
            family = socket.AF_INET if len(each.address) == 4 else socket.AF_INET6
            text = socket.inet_ntop(family, each.address)
            addresses.setdefault((each.interface, family), []).append(text)
        for index, link in links.items():
            link = replace(
                link,
                speed_mbps=_speed_mbps(self._announcements, link.name),
                ipv4=tuple(addresses.get((index, socket.AF_INET), ())),
                ipv6=tuple(addresses.get((index, socket.AF_INET6), ())),
            )
            self._links[index] = b"", link
        self._announced = {index: known for index, known in self._announced.items() if index in links}

    def _with_counters(self, index: int, counters: bytes) -> Link:
        before, link = self._links[index]
        if counters != before:
            # `replace` takes twice as long, and this runs for every interface with traffic.
            link = Link(
                link.name,
                link.up,
                link.index,
                link.speed_mbps,
                link.ipv4,
                link.ipv6,
                parse_counters(counters),
                link.mtu,
                link.kind,
                link.operstate,
                link.carrier_changes,
                rx_nohandler=_NOHANDLER.unpack(counters)[0],
                master=link.master,
                lower=link.lower,
                delivers_to_siblings=link.delivers_to_siblings,
                active_port=link.active_port,
                tunnel=link.tunnel,
                hardware_address=link.hardware_address,
                peer_namespace=link.peer_namespace,
                peer_index=link.peer_index,
                lower_elsewhere=link.lower_elsewhere,
                admin_up=link.admin_up,
            )
            self._links[index] = counters, link
        return link


def read_links() -> dict[int, Link]:
    """The interfaces by index, without addresses, speed and counters.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    return netlink.dump(NETLINK_ROUTE, _GET_LINKS, dict[int, Link], parse_links)


def dump_stats() -> dict[int, bytes]:
    """The first 24 counters of each interface by index, as a rtnl_link_stats64 in the kernel's format.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    return netlink.dump(NETLINK_ROUTE, GET_STATS, dict[int, bytes], parse_stats)


def parse_links(datagram: bytes, links: dict[int, Link]) -> bool:
    """Add the interfaces by index, without addresses, speed and counters."""
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        _, _, index, flags, _ = _unpack(_LINK, datagram, start, end, kind == _NEWLINK)
        found = netlink.attributes(datagram, start + _LINK.size, end, _OF_A_LINK)
        name = found.get(_IFLA_IFNAME, b"").partition(b"\0")[0]
        if not name:
            raise KernelFormatError(f"rtnetlink: interface {index} has no name")
        state = _number(found.get(_IFLA_OPERSTATE), 1)
        link_kind, data = _kind(found.get(_IFLA_LINKINFO, b""))
        stack = link_stack.parse_stack(link_kind, found, data)
        links[index] = Link(
            name=os.fsdecode(name),
            up=bool(flags & _IFF_RUNNING),
            admin_up=bool(flags & _IFF_UP),
            index=index,
            mtu=_number(found.get(_IFLA_MTU), 4),
            kind=link_kind,
            operstate=_OPERSTATES.get(state),
            carrier_changes=_number(found.get(_IFLA_CARRIER_CHANGES), 4),
            **stack._asdict(),
            hardware_address=found.get(_IFLA_ADDRESS, b""),
        )
    return False


def parse_stats(datagram: bytes, stats: dict[int, bytes]) -> bool:
    """Add the counters of `dump_stats`."""
    # Usual messages are read without a function call for each: that happens once a second.
    offset, total, usual, unpack = 0, len(datagram), _STATS_MESSAGE.size, _STATS_MESSAGE.unpack_from
    while total - offset >= usual:
        length, kind, flags, index, size, attribute, counters = unpack(datagram, offset)
        is_usual = kind == _NEWSTATS and attribute == _IFLA_STATS_LINK_64 and size == length - _STATS_HEADER
        if not is_usual or not usual <= length <= total - offset or flags & netlink.INTERRUPTED:
            break
        stats[index] = counters
        offset += length + 3 & ~3
    if 0 < total <= offset:
        return False
    for kind, start, end in netlink.messages(datagram, offset):
        if kind == netlink.DONE:
            return True
        _, index, _ = _unpack(_STATS, datagram, start, end, kind == _NEWSTATS)
        found = netlink.attributes(datagram, start + _STATS.size, end, (_IFLA_STATS_LINK_64,))
        stats[index] = found.get(_IFLA_STATS_LINK_64, b"")[: _COUNTERS.size]
        if len(stats[index]) < _COUNTERS.size:
            raise KernelFormatError(f"rtnetlink: {len(stats[index])} bytes of counters of interface {index}")
    return False


def parse_counters(counters: bytes) -> Counters:
    """Parse the counters of one interface from `dump_stats`."""
    rx, tx, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_drops, tx_drops, missed = _COUNTERS.unpack(counters)
    return Counters(tx_bytes, rx_bytes, tx, rx, tx_errors, rx_errors, tx_drops, rx_drops + missed, missed)


def parse_speed(ethtool_cmd: bytes) -> int | None:
    """The speed in the driver's answer, in Mbps; ``None`` if the driver does not know it."""
    _, low, high = _ETHTOOL_CMD.unpack(ethtool_cmd)
    speed: int = high << 16 | low
    return None if speed in _NO_SPEEDS else speed


def _unpack(body: struct.Struct, datagram: bytes, start: int, end: int, expected: bool) -> tuple[int, ...]:
    if not expected or end - start < body.size:
        raise KernelFormatError(f"rtnetlink: a message of another kind, or of {end - start} bytes")
    return body.unpack_from(datagram, start)


def _number(value: bytes | None, size: int) -> int | None:
    if value is None:
        return None
    if len(value) != size:
        raise KernelFormatError(f"rtnetlink: a number of {len(value)} bytes instead of {size}")
    return int.from_bytes(value, sys.byteorder)


def _kind(link_info: bytes) -> tuple[str, bytes]:
    """The kernel's link kind, ``""`` if the interface has none, and the data of this kind."""
    found = netlink.attributes(link_info, 0, len(link_info), (_IFLA_INFO_KIND, _IFLA_INFO_DATA))
    kind = os.fsdecode(found.get(_IFLA_INFO_KIND, b"").partition(b"\0")[0])
    return kind, found.get(_IFLA_INFO_DATA, b"")


def _speed_mbps(device: socket.socket, name: str) -> int | None:
    """The speed from the driver, through any socket of the namespace; ``None`` if it does not answer."""
    answer = array.array("B", _ETHTOOL_CMD.pack(_ETHTOOL_GSET, 0, 0))
    try:
        fcntl.ioctl(device, _SIOCETHTOOL, _IFREQ.pack(os.fsencode(name), answer.buffer_info()[0]))
    except OSError:
        return None
    return parse_speed(answer.tobytes())
