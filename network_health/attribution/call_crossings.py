"""Finds which interfaces carried the bytes that were counted at the calls of processes, but for TCP.

Guarantees: as `interface_paths`: a byte counts for an interface only if it must have crossed it. If the route
is not known, because the socket has no peer, these are the bytes that no other interface can have carried.
What sockets may receive as copies does not count, nor does what was sent to a next hop that does not answer.
Of all flows only those with most bytes count, at most `_MAX_FLOWS`: a process can have thousands of peers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from network_health.attribution.evidence import MIN_PERCENT
from network_health.attribution.interface_paths import (
    RECEIVED,
    ROUTES_DISAGREE,
    WAY_UNKNOWN,
    Carried,
    Crossing,
    Crossings,
    Way,
    bytes_of,
)
from network_health.attribution.interface_traffic import RoutedTraffic, largest_flows, read_routed
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.model import CallTraffic, Socket, SocketTraffic
from network_health.sources import linux

#: Their bytes are known from their sockets: what was sent, not what a process wants to send.
_TCP = {"tcp", "mptcp"}

#: Calls and interfaces are read at slightly different moments.
_TOLERANCE = 1.1
_HALF_PERCENT = 50
_MAX_FLOWS = 1000
#: The TCP traffic that crossed an interface.
CrossingsOf = Callable[[int], Sequence[Crossing]]


class CallCrossings:
    """The traffic that is not TCP, in the calling thread's network namespace.

    Bytes whose route is one of ``rerouted`` have no known way. ``looped`` are the bytes that this host sent
    to several hosts: its own sockets receive them without an interface. ``None`` is unknown.
    """

    def __init__(
        self, calls: linux.Calls, carried: Carried, rerouted: linux.ChangedRoutes, looped: int | None
    ) -> None:
        newest: dict[int, int] = {}
        for each in calls.traffic:
            newest[each.pid] = max(each.started, newest.get(each.pid, 0))
        self.owned = [
            _owned(each, is_known=bool(each.pid) and each.started == newest[each.pid])
            for each in calls.traffic
            if each.namespace == calls.namespace and each.protocol not in _TCP and not each.is_copy
        ]
        self._carried = carried
        self._rerouted = rerouted
        self._looped = math.inf if looped is None else looped
        self._crossings: dict[int, Crossings] = {}

    def of(self, target: int, direction: int, tcp_of: CrossingsOf) -> tuple[list[Crossing], str]:
        """The traffic that crossed ``target``, and a note about traffic for which that is not known.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        if direction not in self._crossings:
            self._crossings[direction] = Crossings(direction, self._by_way, self.routed.paths, self._carried)
        looped = self._looped if direction == RECEIVED else 0
        found, note = self._crossings[direction].of(target)
        found = [_lowered(each, looped) if looped else each for each in found]
        others, elsewhere = self.without_way(target, direction, tcp_of)
        found += others
        of_target = self._carried[target][direction]
        if octets_of((*found, *tcp_of(target)), direction) > _TOLERANCE * of_target:
            return [], ROUTES_DISAGREE
        return found, note or (WAY_UNKNOWN if 100 * elsewhere >= MIN_PERCENT * of_target > 0 else "")

    def without_way(self, target: int, direction: int, tcp_of: CrossingsOf) -> tuple[list[Crossing], int]:
        """The traffic without a known way that must have crossed ``target``, and how many bytes may not.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        octets = sum(bytes_of(each, direction) for each, _ in self._unplaced)
        unknown = self._elsewhere(target, direction, tcp_of) if octets else 0
        elsewhere = int(min(octets, unknown + (self._looped if direction == RECEIVED else 0)))
        return [Crossing(self._unplaced, elsewhere)] if octets > elsewhere else [], elsewhere

    @property
    def _by_way(self) -> Mapping[Way, Sequence[OwnedTraffic]]:
        """Sockets that are bound to an interface use it; without others whose way is not known."""
        by_way = {way: list(each) for way, each in self.routed.by_way.items()}
        for each in self._without_route:
            if each[0].socket.device:
                by_way.setdefault(Way(each[0].socket.device), []).append(each)
        return by_way

    @property
    def _unplaced(self) -> list[OwnedTraffic]:
        return [each for each in self._without_route if not each[0].socket.device]

    @property
    def _without_route(self) -> list[OwnedTraffic]:
        placed = {id(each) for owned in self.routed.by_way.values() for each in owned}
        return [*self._routable[1], *(each for each in self._routable[0] if id(each) not in placed)]

    @cached_property
    def routed(self) -> RoutedTraffic:
        """The traffic with a route; read when this is first used."""
        return read_routed(self._routable[0], self._rerouted)

    @cached_property
    def _routable(self) -> tuple[list[OwnedTraffic], list[OwnedTraffic]]:
        """The traffic whose route can be looked up, and that without one; not that of the smallest flows."""
        rules = linux.read_rules()
        routable, unplaced = list[OwnedTraffic](), list[OwnedTraffic]()
        for each in self.owned:
            remote = each[0].socket.remote
            # The local port is not known.
            (routable if remote and not rules[len(remote)].on_ports else unplaced).append(each)
        flows = largest_flows(routable, with_ports=False)[:_MAX_FLOWS]
        return _delivered([each for flow in flows for each in flow], rules), unplaced

    def _elsewhere(self, target: int, direction: int, tcp_of: CrossingsOf) -> float:
        """How many bytes other interfaces than ``target`` can have carried, without their TCP traffic."""
        paths = self.routed.paths
        below = paths.crossed(Way(target))
        total = 0
        for index, link in paths.links.items():
            is_above = target in paths.crossed(Way(index)) and not link.delivers_to_siblings
            if index == target or is_above:
                continue
            if index not in self._carried:
                return math.inf
            known = (
                self._carried[target][direction] if index in below else octets_of(tcp_of(index), direction)
            )
            total += max(self._carried[index][direction] - known, 0)
        return total


def hint_of(evidence: Mapping[str, Any]) -> dict[str, str]:
    """The field ``hint`` of a rate: that counting calls would name the process; empty if it may not."""
    not_tcp = evidence.get("not_tcp", {}).get("percent", 0)
    if not_tcp < _HALF_PERCENT or evidence["coverage_percent"] >= _HALF_PERCENT:
        return {}
    return {"hint": '"bpf": true names the process of what is not TCP'}


def octets_of(crossings: Sequence[Crossing], direction: int) -> int:
    """The bytes that crossed an interface."""
    return sum(
        sum(bytes_of(traffic, direction) for traffic, _ in each.traffic) - each.elsewhere
        for each in crossings
    )


def _lowered(crossing: Crossing, looped: float) -> Crossing:
    """The received traffic without what may be ``looped``, if it is of sockets that have no peer."""
    if all(each.socket.remote for each, _ in crossing.traffic):
        return crossing
    octets = sum(each.received for each, _ in crossing.traffic)
    return crossing._replace(elsewhere=int(min(octets, crossing.elsewhere + looped)))


def _delivered(traffic: Sequence[OwnedTraffic], rules: Mapping[int, linux.Rules]) -> list[OwnedTraffic]:
    """The traffic without what was sent to next hops that do not answer.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    sockets = [each.socket for each, _ in traffic]
    flows = [linux.Flow(each.local, each.remote, each.device, each.mark, each.uid) for each in sockets]
    routes = linux.read_routes(flows, rules)
    unanswered = linux.read_unanswered({route for route in routes if route})
    return [
        (each._replace(sent=0) if route in unanswered else each, holders)
        for (each, holders), route in zip(traffic, routes, strict=True)
    ]


def _owned(call: CallTraffic, *, is_known: bool) -> OwnedTraffic:
    """Without an owner if it is not known: a pid is that of the last process that had it."""
    socket = Socket(
        state="",
        local=call.local,
        local_port=0,
        remote=call.remote,
        remote_port=call.remote_port,
        inode=0,
        cookie=0,
        device=call.device,
        mark=call.mark,
        uid=call.uid,
    )
    return SocketTraffic(socket, call.sent, call.received, call.protocol), (call.pid,) if is_known else None
