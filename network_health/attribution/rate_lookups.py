"""Looks up the culprits of rates in one window, and the traffic of each process in it.

Guarantees: routes and owners are read once for all interfaces, and only if a lookup needs them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from network_health.attribution import (
    call_crossings,
    interface_paths,
    interface_traffic,
    missing_owners,
    owned_traffic,
    process_traffic,
    protocol_split,
    rate_culprits,
    unattributed_parts,
)
from network_health.attribution.evidence import MIN_PERCENT, Culprits
from network_health.attribution.namespace_traffic import NamespaceTraffic
from network_health.attribution.namespace_ways import Ways, read_ways
from network_health.attribution.owner_lookups import OwnerLookups
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.attribution.traffic_window import Window
from network_health.model import Finding, Interface, Socket, Traffic
from network_health.settings import Settings
from network_health.sources import linux

#: The direction of the checks that are about rates.
RATES = {"tx_rate": "outbound", "rx_rate": "inbound"}
_DIRECTIONS = tuple(interface_paths.DIRECTIONS.values())


class RateLookups:
    """The lookups in one ``window``; ``interfaces`` are those of the snapshot by name.

    ``others`` is the traffic of other namespaces in the same window.
    """

    def __init__(
        self,
        window: Window,
        interfaces: Mapping[str, Interface],
        settings: Settings,
        owners: OwnerLookups,
        others: Sequence[NamespaceTraffic] = (),
    ) -> None:
        self._window, self._interfaces, self._settings = window, interfaces, settings
        self._owners, self._others = owners, others
        self._count = settings.top_n_procs or 1
        self._own_crossings_of: dict[int, interface_paths.Crossings] = {}
        self._crossings_of: dict[int, interface_paths.Crossings] = {}
        self._splits: dict[int, protocol_split.ProtocolSplit] = {}

    def of(self, finding: Finding) -> Culprits | None:
        """The culprits of a rate; ``None`` if the bytes of its interface are not known.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        window, interface = self._window, self._interfaces.get(finding.subject)
        index = interface.link.index if interface else None
        # Without bytes the interface is new, or its counters went back.
        if interface is None or index is None or index not in window.carried:
            return None
        owners, direction = self._owned.owners, interface_paths.DIRECTIONS[RATES[finding.check]]
        carried = window.carried[index][direction]
        crossings, note = self._crossings_with_calls(direction, index)
        hidden = {
            each.socket.inode: crossing.bytes_of(each, direction)
            for crossing in crossings
            for each, _ in crossing.traffic
            if _is_hidden(each.socket, owners)
        }
        missing, users = missing_owners.note_of_bytes(hidden, carried, owners)
        clause, evidence = rate_culprits.of_rate(
            interface,
            RATES[finding.check],
            crossings,
            carried,
            self._owners.owner_of,
            {each.local_port for each in window.listeners},
            self._count,
            missing or note,
            self._not_tcp_inside(direction, index, carried) or self._not_tcp(direction, index, carried),
        )
        labels = {
            each.get("namespace") for each in evidence["processes"] if each["percent"] >= MIN_PERCENT
        } or {evidence.get("not_tcp", {}).get("namespace")}
        if len(labels) == 1 and (label := labels.pop()):
            evidence["namespace"] = label
        entries = missing_owners.user_entries(users, self._count, "bytes")
        hint = {} if self._settings.bpf else call_crossings.hint_of(evidence)
        return clause, evidence | ({"users": entries} if missing else {}) | hint

    def traffic(self) -> Traffic | None:
        """The traffic of each process, with its parts; ``None`` if there is none.

        What is not TCP is a part only if a rate was looked up: it needs routes.
        """
        window = self._window
        of_calls = self._calls.owned if self._calls else []
        of_others = {id(each): each for _, owned in self._ways_of_others for each in owned}.values()
        if not (window.traffic or of_calls or of_others):
            return None
        entered = {each.namespace.kernel_id for each in self._others}
        links = {
            link.index: link
            for link in (each.link for each in self._interfaces.values())
            # What a container sends leaves by another interface as well.
            if link.index and (link.peer_namespace is None or link.peer_namespace not in entered)
        }
        carried = interface_paths.carried_once(links, window.carried)
        owned = [*self._owned.own, *of_calls]
        is_whole = window.is_whole and not (window.calls and window.calls.lost)
        traffic = process_traffic.by_process([*owned, *of_others], window.seconds, carried, is_whole)
        splits = [self._split(each) if self._splits else None for each in _DIRECTIONS]
        sent, received = (split.total() if split else 0 for split in splits)
        others = unattributed_parts.parts_of(window, links)
        return process_traffic.with_parts(traffic, owned, window.resent, (sent, received), others)

    def _not_tcp_inside(self, direction: int, index: int, carried: int) -> protocol_split.Part | None:
        """The same of a veth, as the namespace at its other end counts it; ``None`` if that was not read."""
        end = self._far_end(index)
        if end is None or not carried:
            return None
        other, far = end
        found = other.not_tcp(far, 1 - direction)
        part = protocol_split.part_of(found, carried, other.window.seconds) if found else None
        return part and part.inside(other.namespace.label)

    def _far_end(self, index: int) -> tuple[NamespaceTraffic, int] | None:
        """The namespace at the other end of a veth, if it was read, and the index of this end in it."""
        link = self._routed_traffic.paths.links.get(index)
        if link is None or link.peer_namespace is None or link.peer_index is None:
            return None
        number = link.peer_namespace
        found = (each for each in self._others if each.namespace.kernel_id == number)
        return next(((each, link.peer_index) for each in found), None)

    def _not_tcp(self, direction: int, index: int, carried: int) -> protocol_split.Part | None:
        """What is not TCP of the ``carried`` bytes of an interface; ``None`` if that is not known."""
        split = self._split(direction)
        found = split.of(index) if split else None
        return protocol_split.part_of(found, carried, self._window.seconds) if found else None

    def _split(self, direction: int) -> protocol_split.ProtocolSplit | None:
        known, counted = self._splits, self._window.counted
        if direction not in known and counted is not None:
            paths, tcp_of = self._routed_traffic.paths, self._own_crossings(direction).of
            known[direction] = protocol_split.ProtocolSplit(
                direction, self._window, counted, paths, lambda index: tcp_of(index)[0]
            )
        return known.get(direction)

    def _crossings_with_calls(self, direction: int, index: int) -> tuple[list[interface_paths.Crossing], str]:
        crossings, note = self._crossings(direction).of(index)
        if self._calls is None:
            return crossings, note
        if end := self._far_end(index):
            other, far = end
            inside = other.calls_without_way(far, 1 - direction)
            crossings = [*crossings, *(each._replace(mirrored=True) for each in inside)]
        of_tcp = self._own_crossings(direction)
        of_calls, note_of_calls = self._calls.of(index, direction, lambda each: of_tcp.of(each)[0])
        return [*crossings, *of_calls], note or note_of_calls

    def _own_crossings(self, direction: int) -> interface_paths.Crossings:
        """The traffic of this namespace's own sockets."""
        known = self._own_crossings_of
        if direction not in known:
            routed = self._routed_traffic
            known[direction] = interface_paths.Crossings(
                direction, routed.by_way, routed.paths, self._window.carried
            )
        return known[direction]

    def _crossings(self, direction: int) -> interface_paths.Crossings:
        """The same with the traffic of other namespaces."""
        if not self._others:
            return self._own_crossings(direction)
        known = self._crossings_of
        if direction not in known:
            paths = self._routed_traffic.paths
            known[direction] = interface_paths.Crossings(
                direction, self._all_ways, paths, self._window.carried
            )
        return known[direction]

    @cached_property
    def _ways_of_others(self) -> Ways:
        if not self._others:
            return []
        return read_ways(self._owned.others, self._routed_traffic.paths, self._window.rerouted)

    @cached_property
    def _all_ways(self) -> Mapping[interface_paths.Way, Sequence[OwnedTraffic]]:
        """The traffic of this namespace and of the others by its way."""
        by_way = {way: list(owned) for way, owned in self._routed_traffic.by_way.items()}
        for way, owned in self._ways_of_others:
            by_way.setdefault(way, []).extend(owned)
        return by_way

    @cached_property
    def _calls(self) -> call_crossings.CallCrossings | None:
        """What processes sent and received beside TCP; ``None`` if it was not counted."""
        window = self._window
        if not window.calls:
            return None
        looped = window.counted.multicast_octets if window.counted else None
        return call_crossings.CallCrossings(window.calls, window.carried, window.rerouted, looped)

    @cached_property
    def _routed_traffic(self) -> interface_traffic.RoutedTraffic:
        return interface_traffic.read_routed(self._owned.own, self._window.rerouted)

    @cached_property
    def _owned(self) -> owned_traffic.OwnedTraffics:
        return owned_traffic.find_owned(self._window, self._others, self._owners)


def _is_hidden(socket: Socket, owners: linux.SocketOwners) -> bool:
    """Whether a process has the socket open, but is not visible."""
    return socket.inode > 0 and socket.state != "CLOSE" and socket.inode not in owners.pids
