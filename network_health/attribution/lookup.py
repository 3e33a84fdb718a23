"""Looks up the culprits of one check's findings. If several findings need the same data, it is read once.

Guarantees: an error in the lookup for one finding is noted and does not affect the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from network_health.attribution import (
    call_crossings,
    connection_culprits,
    interface_paths,
    interface_traffic,
    loss_lookups,
    missing_owners,
    ownership,
    process_traffic,
    protocol_split,
    rate_culprits,
)
from network_health.attribution.evidence import Culprits
from network_health.attribution.loss_readings import LossReadings
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.attribution.traffic_window import Window
from network_health.model import (
    ANOTHER_PROCESS,
    Attribution,
    Finding,
    Holders,
    Owner,
    Snapshot,
    Socket,
    Traffic,
)
from network_health.settings import Settings
from network_health.sources import linux

RATES = {"tx_rate": "outbound", "rx_rate": "inbound"}
_DIRECTIONS = tuple(interface_paths.DIRECTIONS.values())

#: How long the search for owners may take in one check.
SEARCH_S = 6.0
#: How many other network namespaces are entered in one check; the findings about others are due in the next.
MAX_ENTERED = 3


@dataclass
class Lookup:
    """The lookup of one check; updates ``losses``.

    ``window`` has the TCP traffic to report, ``resent_window`` the segments that were sent again; ``None`` if
    they were not read. The search for owners may take ``search_s``.
    """

    finder: linux.OwnerFinder
    losses: LossReadings
    snapshot: Snapshot
    settings: Settings
    window: Window | None
    resent_window: Window | None = None
    search_s: float = SEARCH_S

    def __post_init__(self) -> None:
        self._count = self.settings.top_n_procs or 1
        self._deadline_s = time.monotonic() + self.search_s
        self._interfaces = {each.link.name: each for each in self.snapshot.interfaces or ()}
        self._owners: dict[int, Owner] = {}
        self._crossings_of: dict[int, interface_paths.Crossings] = {}
        self._splits: dict[int, protocol_split.ProtocolSplit] = {}
        failure = self.window.calls_failure if self.window else ""
        self._failures = [failure] if failure else []
        self._entered = 0

    def attribute(self, findings: Sequence[Finding]) -> tuple[list[tuple[Finding, Culprits]], Attribution]:
        """The findings whose culprits are known, with these; the traffic and its owners."""
        answers = [(each, culprits) for each in findings if (culprits := self._culprits(each))]
        traffic = self._with_parts(self._traffic())
        for process in traffic.processes[: self._count] if traffic else ():
            self._owner_of((process.pid, *process.shared_with))
        return answers, Attribution({}, traffic, self._owners, "; ".join(self._failures))

    def _culprits(self, finding: Finding) -> Culprits | None:
        look_up = _LOOKUPS.get(finding.check)
        try:
            return look_up(self, finding) if look_up else None
        except (OSError, ValueError) as error:
            self._failures.append(f"{finding.check}: {type(error).__name__}: {error}")
            return None

    def _connections(self, _: Finding) -> Culprits:
        return self._of_sockets(self._sockets)

    def _namespace_connections(self, finding: Finding) -> Culprits | None:
        seen = self.snapshot.namespaces
        namespace = (
            next((each for each in seen.entries if each.label == finding.subject), None) if seen else None
        )
        if namespace is None or self._entered >= MAX_ENTERED:
            return None
        self._entered += 1
        listing = linux.call_in_namespace(
            namespace.pid, namespace.inode, lambda: linux.read_socket_groups(self._deadline_s)
        )
        clause, evidence = self._of_sockets(listing)
        return clause, {"namespace": finding.subject} | evidence

    def _of_sockets(self, listing: linux.SocketListing) -> Culprits:
        note = missing_owners.note_of_sockets(listing)
        clause, evidence = connection_culprits.of_connections(
            listing.groups, self._owner_of, self._count, note
        )
        return clause, evidence | (
            {"users": missing_owners.user_entries(listing.users, self._count)} if note else {}
        )

    def _rate(self, finding: Finding) -> Culprits | None:
        window, interface = self.window, self._interfaces.get(finding.subject)
        if window is None or interface is None:
            return None
        index = interface.link.index
        if index is None or index not in window.carried:  # it is new, or its counters went back
            return None
        owners, direction = self._owned_traffic[0], interface_paths.DIRECTIONS[RATES[finding.check]]
        carried = window.carried[index][direction]
        crossings, note = self._crossings_with_calls(window, direction, index)
        hidden = {
            each.socket.inode: interface_paths.bytes_of(each, direction)
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
            self._owner_of,
            {each.local_port for each in window.listeners},
            self._count,
            missing or note,
            self._not_tcp(window, direction, index, carried),
        )
        entries = missing_owners.user_entries(users, self._count, "bytes")
        hint = {} if self.settings.bpf else call_crossings.hint_of(evidence)
        return clause, evidence | ({"users": entries} if missing else {}) | hint

    def _not_tcp(
        self, window: Window, direction: int, index: int, carried: int
    ) -> protocol_split.Part | None:
        """What is not TCP of the ``carried`` bytes of an interface; ``None`` if that is not known."""
        split = self._split(window, direction)
        found = split.of(index) if split else None
        return protocol_split.part_of(found, carried, window.seconds) if found else None

    def _split(self, window: Window, direction: int) -> protocol_split.ProtocolSplit | None:
        known, counted = self._splits, window.counted
        if direction not in known and counted is not None:
            paths, tcp_of = self._routed_traffic.paths, self._crossings(window, direction).of
            known[direction] = protocol_split.ProtocolSplit(
                direction, window, counted, paths, lambda index: tcp_of(index)[0]
            )
        return known.get(direction)

    def _with_parts(self, traffic: Traffic | None) -> Traffic | None:
        """The traffic, with its parts; what is not TCP only if a rate was looked up: it needs routes."""
        window = self.window
        if window is None or traffic is None:
            return traffic
        splits = [self._split(window, each) if self._splits else None for each in _DIRECTIONS]
        sent, received = (split.total() if split else 0 for split in splits)
        owned = [*self._owned_traffic[1], *(self._calls.owned if self._calls else [])]
        return process_traffic.with_parts(traffic, owned, window.resent, (sent, received))

    def _crossings_with_calls(
        self, window: Window, direction: int, index: int
    ) -> tuple[list[interface_paths.Crossing], str]:
        crossings, note = self._crossings(window, direction).of(index)
        if self._calls is None:
            return crossings, note
        of_tcp = self._crossings(window, direction)
        of_calls, note_of_calls = self._calls.of(index, direction, lambda each: of_tcp.of(each)[0])
        return [*crossings, *of_calls], note or note_of_calls

    def _crossings(self, window: Window, direction: int) -> interface_paths.Crossings:
        known = self._crossings_of
        if direction not in known:
            routed = self._routed_traffic
            known[direction] = interface_paths.Crossings(
                direction, routed.by_way, routed.paths, window.carried
            )
        return known[direction]

    def _loss(self, finding: Finding) -> Culprits | None:
        context = loss_lookups.Context(
            self.snapshot,
            self._interfaces,
            self.settings,
            self.losses,
            lambda inodes: self.finder.find(inodes, self._deadline_s),
            self._owner_of,
            lambda: self._sockets.groups,
            self.resent_window,
            lambda sockets, listeners: self._owners_of(sockets, listeners)[1],
        )
        return loss_lookups.LOOKUPS[finding.check](context, finding)

    def _traffic(self) -> Traffic | None:
        window = self.window
        of_calls = self._calls.owned if self._calls else []
        if window is None or not (window.traffic or of_calls):
            return None
        links = {link.index: link for link in (each.link for each in self._interfaces.values()) if link.index}
        carried = interface_paths.carried_once(links, window.carried)
        owned = [*self._owned_traffic[1], *of_calls]
        is_whole = window.is_whole and not (window.calls and window.calls.lost)
        return process_traffic.by_process(owned, window.seconds, carried, is_whole)

    @cached_property
    def _sockets(self) -> linux.SocketListing:
        return linux.read_socket_groups(self._deadline_s)

    @cached_property
    def _names(self) -> Mapping[int, str]:
        """The names of processes whose calls were counted."""
        calls = self.window.calls if self.window else None
        return {each.pid: each.name for each in calls.traffic} if calls else {}

    @cached_property
    def _calls(self) -> call_crossings.CallCrossings | None:
        """What processes sent and received beside TCP; ``None`` if it was not counted."""
        if not (window := self.window) or not window.calls:
            return None
        return call_crossings.CallCrossings(window.calls, window.carried, window.rerouted)

    @cached_property
    def _routed_traffic(self) -> interface_traffic.RoutedTraffic:
        rerouted = self.window.rerouted if self.window else linux.ChangedRoutes()
        return interface_traffic.read_routed(self._owned_traffic[1], rerouted)

    @cached_property
    def _owned_traffic(self) -> tuple[linux.SocketOwners, list[OwnedTraffic]]:
        """The traffic of the window with its owners, and the result of the search for them."""
        if self.window is None:
            return linux.SocketOwners({}), []
        sockets = [each.socket for each in self.window.traffic]
        owners, holders = self._owners_of(sockets, self.window.listeners)
        return owners, list(zip(self.window.traffic, holders, strict=True))

    def _owners_of(
        self, sockets: Sequence[Socket], listeners: Sequence[Socket]
    ) -> tuple[linux.SocketOwners, list[Holders | None]]:
        """The owners of sockets, also of those that are closed or half open, and the result of the search."""
        ports = {each.local_port for each in listeners}
        closed = [each for each in sockets if each.state == "CLOSE" and each.local_port not in ports]
        # A closed connection has no owner, but its process may have another one to the same endpoint.
        connected = linux.read_connected_to({(s.remote, s.remote_port) for s in closed}) if closed else []
        owners = self._find_owners([*sockets, *listeners, *connected])
        return owners, ownership.owners_of(sockets, owners.pids, listeners, connected)

    def _find_owners(self, sockets: Iterable[Socket]) -> linux.SocketOwners:
        is_closed = {each.inode: each.state == "CLOSE" for each in sockets}
        closed = {inode for inode, closed in is_closed.items() if closed}
        return self.finder.find(is_closed.keys() - closed, self._deadline_s, closed)

    def _owner_of(self, holders: Holders) -> Owner:
        if not holders:
            return Owner(None)
        first, *others = (self._process(pid) for pid in holders)
        return replace(first, shared_with=tuple(others))

    def _process(self, pid: int) -> Owner:
        if pid == ANOTHER_PROCESS:
            return Owner(None, "another process")
        if pid not in self._owners:
            details = linux.read_process_details([pid]).get(pid)
            if details is None and pid in self._names:  # it has ended, and another one may have its pid
                return Owner(None, self._names[pid])
            name, user = (details.name, details.user) if details else (None, None)
            self._owners[pid] = Owner(pid, name, user, *linux.read_container_and_unit(pid))
        return self._owners[pid]


def _is_hidden(socket: Socket, owners: linux.SocketOwners) -> bool:
    """Whether a process has the socket open, but is not visible."""
    return socket.inode > 0 and socket.state != "CLOSE" and socket.inode not in owners.pids


_LOOKUPS: Mapping[str, Callable[[Lookup, Finding], Culprits | None]] = {
    "connections": Lookup._connections,
    "namespace_connections": Lookup._namespace_connections,
    **dict.fromkeys(loss_lookups.LOOKUPS, Lookup._loss),
    **dict.fromkeys(RATES, Lookup._rate),
}
#: The checks whose culprits can be looked up.
CHECKS = frozenset(_LOOKUPS)
