"""Computes which interfaces carry the bytes that are routed to one of them. Pure.

What crosses the upper interface crosses the lower one: a vlan, a macvlan or a tunnel has one below it, a
bridge, a bond or a team has its ports. Which port of several carried a byte is not known.

Guarantees: a byte counts for an interface only if it must have crossed it. Bytes for which routes and
counters of the interfaces disagree count for none.
"""

from __future__ import annotations

import math
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
_MAX_DEPTH = 8
#: Sockets count acknowledged bytes, interfaces count sent ones: both readings differ a little.
_TOLERANCE = 1.1

ROUTES_DISAGREE = "routes and counters of the interfaces disagree about part of the bytes"
PORT_UNKNOWN = "not known which of several ports carried part of the bytes"

#: The bytes that each interface sent and received in a window, by index.
Carried = Mapping[int, tuple[int, int]]
SENT, RECEIVED = 0, 1
#: The direction of a finding.
DIRECTIONS = {"outbound": SENT, "inbound": RECEIVED}


class Crossing(NamedTuple):
    """Traffic of which all but ``elsewhere`` bytes crossed an interface."""

    traffic: Sequence[OwnedTraffic]
    elsewhere: int


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
        self._links, self._hidden_siblings = links, hidden_siblings
        self._ports: dict[int, list[int]] = {}
        self._uppers: dict[int, list[int]] = {}
        for index, link in links.items():
            if link.master in links:
                self._ports.setdefault(link.master or 0, []).append(index)
            if link.lower in links:
                self._uppers.setdefault(link.lower or 0, []).append(index)
        self._underlay = underlay

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

    def is_carried_again(self, index: int) -> bool:
        """Whether other interfaces count the bytes of this one, too."""
        kind = self._links[index].kind
        return bool(self.below(index)) or kind in _CARRIED_AGAIN or (kind == "vrf" and index in self._ports)

    def reaches(self, index: int, target: int, depth: int = 0) -> bool:
        """Whether packets of the interface ``index`` can cross ``target``."""
        if index == target:
            return True
        return depth < _MAX_DEPTH and any(self.reaches(each, target, depth + 1) for each in self.below(index))

    def elsewhere(self, index: int, target: int, carried: Carried, way: int, depth: int = 0) -> float:
        """How many bytes of the interface ``index`` may not have crossed ``target``; infinite if all."""
        if index == target:
            return 0
        below = self.below(index)
        if not below or depth == _MAX_DEPTH:
            return math.inf
        return self._to_siblings(index, carried, way) + sum(
            min(
                carried[each][way] if each in carried else math.inf,
                self.elsewhere(each, target, carried, way, depth + 1),
            )
            for each in below
        )

    def _to_siblings(self, index: int, carried: Carried, way: int) -> float:
        """The bytes that may have gone to interfaces on the same lower one: those received what this sent."""
        link = self._links[index]
        if not link.delivers_to_siblings:
            return 0
        if index in self._hidden_siblings:
            return math.inf
        siblings = [each for each in self._uppers.get(link.lower or 0, []) if each != index]
        return sum(carried[each][1 - way] if each in carried else math.inf for each in siblings)


def crossings(
    target: int,
    direction: str,
    routed: Mapping[int, Sequence[OwnedTraffic]],
    paths: InterfacePaths,
    carried: Carried,
) -> tuple[list[Crossing], str]:
    """The traffic that crossed ``target``, and a note about traffic for which that is not known.

    ``routed`` has the traffic by the interface that it is routed to.
    """
    way, found = DIRECTIONS[direction], []
    octets_of_target = carried[target][way]
    crossed = disagreeing = uncertain = 0
    for index, traffic in routed.items():
        elsewhere = paths.elsewhere(index, target, carried, way)
        octets = sum(bytes_of(each, way) for each, _ in traffic)
        if not octets or not paths.reaches(index, target):
            continue
        if octets > _TOLERANCE * carried.get(index, (0, 0))[way]:
            disagreeing += octets
            continue
        uncertain += int(min(octets, elsewhere))
        if octets > elsewhere:
            crossed += octets - int(elsewhere)
            found.append(Crossing(traffic, int(elsewhere)))
    if crossed > _TOLERANCE * octets_of_target:
        return [], ROUTES_DISAGREE
    if 100 * disagreeing >= MIN_PERCENT * octets_of_target:
        return found, ROUTES_DISAGREE
    return found, PORT_UNKNOWN if 100 * uncertain >= MIN_PERCENT * octets_of_target else ""


def carried_once(paths: InterfacePaths, carried: Carried, indexes: Iterable[int]) -> tuple[int, int]:
    """The bytes that the interfaces sent and received; each byte counts once, at the lowest interface."""
    lowest = [carried[index] for index in indexes if index in carried and not paths.is_carried_again(index)]
    return sum(sent for sent, _ in lowest), sum(received for _, received in lowest)


def bytes_of(traffic: SocketTraffic, way: int) -> int:
    """The bytes of a socket in one direction."""
    return traffic.sent if way == SENT else traffic.received
