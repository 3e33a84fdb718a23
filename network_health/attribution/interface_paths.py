"""Computes which interfaces carry the bytes that are routed to one of them. Pure.

What crosses the upper interface crosses the lower one: a vlan, a macvlan or a tunnel has one below it, a
bridge, a bond or a team has its ports. If it is not known which of several ports carried a byte, at least the
bytes that the other ports did not carry crossed a port.

Guarantees: a byte counts for an interface only if it must have crossed it. Bytes for which routes and
counters of the interfaces disagree count for none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from network_health.attribution.evidence import MIN_PERCENT
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.model import Link, SocketTraffic

#: Each byte that these carry is carried by another interface, too, also if it is not known by which.
_CARRIED_AGAIN = {
    *("vxlan", "geneve", "gre", "gretap", "ip6gre", "ip6gretap", "erspan", "ip6erspan"),
    *("ipip", "sit", "ip6tnl", "vti", "vti6", "xfrm", "wireguard", "ifb"),
}
_OF_PORTS = {"bridge", "bond", "team"}
_LOOPBACK = "lo"
NOTHING_BELOW = 0
_MAX_DEPTH = 8
#: Sockets count acknowledged bytes, interfaces count sent ones: both readings differ a little.
_TOLERANCE = 1.1

ROUTES_DISAGREE = "routes and counters of the interfaces disagree about part of the bytes"
WAY_UNKNOWN = "not known by which of several interfaces part of the bytes came or went"

#: The bytes that each interface sent and received in a window, by index.
Carried = Mapping[int, tuple[int, int]]
SENT, RECEIVED = 0, 1
#: The direction of a finding.
DIRECTIONS = {"outbound": SENT, "inbound": RECEIVED}


class Way(NamedTuple):
    """The interface that packets are routed to, and what is known about their further way.

    ``via`` is the one that carries them of several interfaces below; `NOTHING_BELOW` if none does, as for
    packets to a sibling, and ``None`` if it is not known. Without ``returns`` the answers may arrive by any
    other interface, and without ``leaves`` the packets may be redirected to any other one.

    If it is ``mirrored``, the sockets are at the other end of the interface: it receives what they send.
    """

    device: int
    via: int | None = None
    returns: bool = True
    leaves: bool = True
    mirrored: bool = False

    def is_certain(self, direction: int) -> bool:
        """Whether the interfaces carried all bytes of this direction."""
        return self.leaves if direction == SENT else self.returns


class Crossing(NamedTuple):
    """Traffic of which all but ``elsewhere`` bytes crossed an interface. ``mirrored`` is as in `Way`."""

    traffic: Sequence[OwnedTraffic]
    elsewhere: int
    mirrored: bool = False

    def bytes_of(self, traffic: SocketTraffic, direction: int) -> int:
        """The bytes that a socket sent, or received, through the interface."""
        return bytes_of(traffic, 1 - direction if self.mirrored else direction)


class InterfacePaths:
    """The interfaces by index, and which ones are below another one.

    ``underlay`` has the interface below a tunnel whose link is not configured. ``hidden_siblings`` are those
    interfaces whose packets can reach an interface of another network namespace without crossing ``lower``.
    """

    def __init__(
        self,
        links: Mapping[int, Link],
        underlay: Mapping[int, int] = MappingProxyType({}),
        hidden_siblings: frozenset[int] = frozenset(),
    ) -> None:
        self.links = self._links = links
        self._underlay, self._hidden_siblings = underlay, hidden_siblings
        self._ports: dict[int, list[int]] = {}
        self._uppers: dict[int, list[int]] = {}
        for index, link in links.items():
            if link.master in links:
                self._ports.setdefault(link.master or 0, []).append(index)
            if link.lower in links:
                self._uppers.setdefault(link.lower or 0, []).append(index)

    def below(self, index: int) -> Sequence[int]:
        """The interfaces of which one carries each packet of the interface ``index`` again."""
        link = self._links.get(index)
        if link is None:
            return ()
        if link.lower in self._links:
            return (link.lower or 0,)
        if index in self._underlay:
            return (self._underlay[index],)
        ports = self._ports.get(index, []) if link.kind in _OF_PORTS else []
        return (link.active_port or 0,) if link.active_port in ports else ports

    def external(self) -> list[int]:
        """The lowest interfaces other than loopback."""
        return [index for index in self.lowest(self._links) if self._links[index].name != _LOOPBACK]

    def end_of(self, way: Way) -> int | None:
        """The lowest interface that packets of ``way`` cross; ``None`` if it may be one of several."""
        index = way.device
        for _ in range(_MAX_DEPTH):
            below = self._next(index, way)
            if len(below) != 1:
                return None if below else index
            index = below[0]
        return None

    def lowest(self, indexes: Iterable[int]) -> list[int]:
        """Those of the interfaces ``indexes`` whose bytes no other interface counts, too."""
        return [
            index
            for index in indexes
            if not self.below(index)
            and self._links[index].kind not in _CARRIED_AGAIN
            and not (self._links[index].kind == "vrf" and index in self._ports)
        ]

    def carried_again(self) -> set[int]:
        """The tunnels and VRFs: their packets are counted by IP a second time."""
        return {
            index
            for index, link in self._links.items()
            if link.kind in _CARRIED_AGAIN or (link.kind == "vrf" and index in self._ports)
        }

    def crossed(self, way: Way) -> set[int]:
        """The interfaces that packets can cross."""
        found, left = set[int](), [way.device]
        while left:
            index = left.pop()
            if index not in found:
                found.add(index)
                left += self._next(index, way)
        return found | self._vrfs_of(way.device)

    def elsewhere(self, way: Way, target: int, carried: Carried, direction: int) -> float:
        """How many bytes of ``way`` may not have crossed ``target``; infinite if all of them."""

        def below(index: int, depth: int) -> float:
            if index == target:
                return 0
            others = self._next(index, way)
            if not others or not depth:
                return math.inf
            return self._to_siblings(index, way, carried, direction) + sum(
                min(carried[each][direction] if each in carried else math.inf, below(each, depth - 1))
                for each in others
            )

        return 0 if target in self._vrfs_of(way.device) else below(way.device, _MAX_DEPTH)

    def _vrfs_of(self, index: int) -> set[int]:
        """The VRF of an interface, if it is in one: it counts its IP packets too, on most kernels one way."""
        master = (self._links[index].master or 0) if index in self._links else 0
        return {master} if master in self._links and self._links[master].kind == "vrf" else set()

    def _next(self, index: int, way: Way) -> Sequence[int]:
        if index == way.device and way.via == NOTHING_BELOW:
            return ()
        below = self.below(index)
        return (way.via or 0,) if way.via in below else below

    def _to_siblings(self, index: int, way: Way, carried: Carried, direction: int) -> float:
        """The bytes that may have gone to interfaces on the same lower one: those received what this sent."""
        link = self._links[index]
        if not link.delivers_to_siblings or way.via == link.lower:
            return 0
        if index in self._hidden_siblings:
            return math.inf
        siblings = [each for each in self._uppers.get(link.lower or 0, []) if each != index]
        return sum(carried[each][1 - direction] if each in carried else math.inf for each in siblings)


class Crossings:
    """The traffic of one direction by the interfaces that it crossed; computed once for all interfaces."""

    def __init__(
        self,
        direction: int,
        routed: Mapping[Way, Sequence[OwnedTraffic]],
        paths: InterfacePaths,
        carried: Carried,
    ) -> None:
        self._direction, self._routed, self._paths, self._carried = direction, routed, paths, carried
        self._octets = {
            way: sum(bytes_of(each, 1 - direction if way.mirrored else direction) for each, _ in routed[way])
            for way in routed
        }
        self._of_device: Counter[int] = Counter()
        self._crossed: dict[Way, set[int]] = {}
        self._ways: dict[int, list[Way]] = {}
        for way, octets in self._octets.items():
            self._of_device[way.device] += octets
            self._crossed[way] = paths.crossed(way) if octets else set()
            for index in self._crossed[way]:
                self._ways.setdefault(index, []).append(way)
        is_open = not all(way.is_certain(direction) for way in routed)
        self._others = _unexplained(direction, self._octets, paths, carried) if is_open else {}

    def of(self, target: int) -> tuple[list[Crossing], str]:
        """The traffic that crossed ``target``, and a note about traffic for which that is not known."""
        carried, direction = self._carried, self._direction
        found, crossed, disagreeing, uncertain = [], 0, 0, 0
        for way in self._ways.get(target, ()):
            octets = self._octets[way]
            if self._of_device[way.device] > _TOLERANCE * carried.get(way.device, (0, 0))[direction]:
                disagreeing += octets
                continue
            unknown = self._paths.elsewhere(way, target, carried, direction)
            if not way.is_certain(direction):
                unknown += sum(n for index, n in self._others.items() if index not in self._crossed[way])
            elsewhere = int(min(octets, unknown))
            uncertain += elsewhere
            if octets > elsewhere:
                crossed += octets - elsewhere
                found.append(Crossing(self._routed[way], elsewhere, way.mirrored))
        of_target = carried[target][direction]
        if crossed > _TOLERANCE * of_target:
            return [], ROUTES_DISAGREE
        if 100 * disagreeing >= MIN_PERCENT * of_target:
            return found, ROUTES_DISAGREE
        return found, WAY_UNKNOWN if 100 * uncertain >= MIN_PERCENT * of_target else ""


def _unexplained(
    direction: int, octets_of: Mapping[Way, int], paths: InterfacePaths, carried: Carried
) -> dict[int, float]:
    """The bytes that each interface carried, without those of sockets whose route uses it."""
    known: Counter[int | None] = Counter()
    for way, octets in octets_of.items():
        known[paths.end_of(way)] += octets
    of_interface = {
        index: carried[index][direction] if index in carried else math.inf for index in paths.external()
    }
    return {index: max(octets - _TOLERANCE * known[index], 0) for index, octets in of_interface.items()}


def carried_once(links: Mapping[int, Link], carried: Carried) -> tuple[int, int]:
    """The bytes that the interfaces sent and received; each byte counts once, at the lowest interface."""
    lowest = [carried[index] for index in InterfacePaths(links).lowest(links) if index in carried]
    return sum(sent for sent, _ in lowest), sum(received for _, received in lowest)


def bytes_of(traffic: SocketTraffic, direction: int) -> int:
    """The bytes of a socket in one direction."""
    return traffic.sent if direction == SENT else traffic.received
