"""Computes how much of what crossed an interface was not TCP, and how many UDP and ICMP packets. Pure.

The counters of IP and of the protocols are those of the host, not of an interface. So a byte or a packet
counts for an interface only if no other interface can have carried it, and only if this host made it, or was
its destination: not if it may have been forwarded, filtered, or a part of TCP.

Guarantees: all values are lower bounds. No more packets are claimed than the interface carried.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from network_health.attribution.evidence import MIN_PERCENT, percent_of
from network_health.attribution.interface_paths import SENT, Crossing, InterfacePaths, Way, bytes_of
from network_health.attribution.traffic_window import Window
from network_health.model import IpCounters, Link

#: The largest packet, also of several that the kernel merged, with its Ethernet header.
_LARGEST = 65_553
#: One datagram that a process sends can be so many packets (UDP_SEGMENT).
_MAX_MERGED = 128
#: The IP and TCP headers of a segment with the usual options.
_TCP_HEADERS = 80
#: The headers that a tunnel adds to a packet.
_TUNNEL_HEADERS = 100
#: Sockets and interfaces are read at slightly different moments.
_TOLERANCE = 1.1
_LOOPBACK = "lo"


class NotTcp(NamedTuple):
    """At least so many bytes of an interface are not TCP, and at least so many packets are UDP and ICMP.

    ``is_all`` is false if other interfaces may have carried some of the host's packets.
    """

    octets: int
    datagrams: int
    icmp_messages: int
    is_all: bool


class Part(NamedTuple):
    """What a finding says about bytes that are not TCP; ``text`` is empty if they are few."""

    text: str
    evidence: Mapping[str, Any]

    def inside(self, namespace: str) -> Part:
        """The same of the namespace with this label."""
        text = f"{self.text} in {namespace}" if self.text else ""
        return Part(text, {**self.evidence, "namespace": namespace})


class ProtocolSplit:
    """What the host itself sent, or received, in a window.

    ``crossings_of`` an interface is the TCP traffic that is known to have crossed it.
    """

    def __init__(
        self,
        direction: int,
        window: Window,
        counted: IpCounters,
        paths: InterfacePaths,
        crossings_of: Callable[[int], list[Crossing]],
    ) -> None:
        self._direction, self._window, self._counted, self._paths = direction, window, counted, paths
        self._octets = _of_direction(window.carried, direction)
        self._packets = _of_direction(window.packets, direction)
        self._lowest = set(paths.lowest(paths.links))
        tunnels = paths.carried_again()
        self._is_known = self._lowest | tunnels <= self._octets.keys() & self._packets.keys()
        if not self._is_known:
            return
        self._tcp = {each: self._tcp_of(crossings_of(each)) for each in self._lowest}
        self._all_octets = sum(self._octets[each] for each in self._lowest)
        self._all_packets = sum(self._packets[each] for each in self._lowest)
        self._all_of_sockets = sum(bytes_of(each, direction) for each in window.traffic)
        self._all_tcp = sum(self._tcp.values())
        # The packets of a tunnel are counted twice: as they are, and with the headers of the tunnel.
        self._crossings_of = crossings_of
        self._own = counted.octets[direction] - sum(
            2 * self._octets[each] + _TUNNEL_HEADERS * self._packets[each] for each in tunnels
        )
        self._own -= self._relayed()
        if direction != SENT:  # what is sent to several hosts is also received by this one
            self._own -= counted.multicast_octets + _LARGEST * counted.undelivered

    def of(self, target: int) -> NotTcp | None:
        """What crossed the interface ``target``; ``None`` if that is not known, or nothing."""
        link = self._paths.links.get(target)
        if link is None or not self._is_known or target not in self._octets:
            return None
        direction, counted = self._direction, self._counted
        below = self._lowest & self._paths.crossed(Way(target))
        tcp_at_most = self._tcp_at_most(link, below)
        if tcp_at_most is None:
            return None
        elsewhere = self._elsewhere(target, below, self._packets, self._all_packets)
        of_host = counted.datagrams[direction], counted.icmp_messages[direction]
        found = [max(each - elsewhere, 0) for each in of_host]
        octets = min(
            self._octets[target] - self._tcp_of(self._crossings_of(target)),
            self._own - tcp_at_most - self._elsewhere(target, below, self._octets, self._all_octets),
            _LARGEST * sum(found),
        )
        packets = self._packets[target]
        if octets <= 0 or _MAX_MERGED * sum(found) < packets:
            return None
        shown = [min(each, packets) for each in found]
        return NotTcp(octets, shown[0], shown[1], 100 * sum(shown) >= 95 * sum(of_host))

    def total(self) -> int:
        """The bytes of all interfaces; each byte counts once, at the lowest interface."""
        found = [self.of(each) for each in self._lowest]
        return sum(each.octets for each in found if each)

    def _tcp_at_most(self, link: Link, below: set[int]) -> int | None:
        """The bytes of TCP that can have crossed ``link``.

        Sent segments are counted as they are, received ones after the kernel has merged them.
        """
        segments = self._counted.segments[self._direction]
        if self._direction == SENT:
            return None if link.mtu is None else segments * link.mtu
        if self._counted.aborted or not self._window.is_whole:  # bytes of closed sockets are not known
            return segments * _LARGEST
        known_elsewhere = self._all_tcp - sum(self._tcp[each] for each in below)
        octets = max(self._all_of_sockets - known_elsewhere, 0)
        return int(_TOLERANCE * octets) + segments * _TCP_HEADERS

    def _elsewhere(self, target: int, below: set[int], carried: Mapping[int, int], total: int) -> int:
        """What others carried: interfaces beside ``target``, and those below it without what it sent.

        ``total`` is what all lowest interfaces carried.
        """
        of_below = sum(carried[each] for each in below)
        return total - of_below + max(of_below - carried[target], 0)

    def _relayed(self) -> int:
        """At most so many bytes were forwarded. Before Linux 6.7 these are counted twice when sent."""
        arrived = sum(
            self._window.carried[each][1 - SENT]
            for each in self._lowest
            if self._paths.links[each].name != _LOOPBACK
        )
        times = 2 if self._direction == SENT else 1
        return times * min(self._counted.forwarded * _LARGEST, arrived)

    def _tcp_of(self, crossings: list[Crossing]) -> int:
        octets = (
            sum(bytes_of(traffic, self._direction) for traffic, _ in each.traffic) - each.elsewhere
            for each in crossings
        )
        return sum(octets)


def part_of(found: NotTcp, carried: int, seconds: float) -> Part:
    """The part of a clause, and the evidence, of an interface that ``carried`` so many bytes."""
    kinds = (found.datagrams, "UDP datagrams/s"), (found.icmp_messages, "ICMP messages/s")
    large = [each for each in kinds if 100 * each[0] >= MIN_PERCENT * (sum(n for n, _ in kinds) or 1)]
    at_least = "" if found.is_all else "at least "
    named = " and ".join(f"{at_least}{n / seconds:,.0f} {unit}" for n, unit in large)
    is_large = 100 * found.octets >= MIN_PERCENT * carried
    return Part(
        f"{100 * found.octets / carried:.0f}% not TCP: {named}" if is_large else "",
        {
            "bytes": found.octets,
            "percent": percent_of(found.octets, carried),
            "udp_datagrams_per_sec": round(found.datagrams / seconds, 2),
            "icmp_messages_per_sec": round(found.icmp_messages / seconds, 2),
        },
    )


def _of_direction(carried: Mapping[int, tuple[int, int]], direction: int) -> dict[int, int]:
    return {index: both[direction] for index, both in carried.items()}
