"""Looks up the culprits of one check's findings. If several findings need the same data, it is read once.

Guarantees: an error in the lookup for one finding is noted and does not affect the others.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from network_health.attribution import (
    connection_culprits,
    interface_paths,
    interface_traffic,
    loss_lookups,
    missing_owners,
    ownership,
    process_traffic,
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

#: How long the search for owners may take in one check.
SEARCH_S = 6.0


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
        self._failures: list[str] = []

    def attribute(self, findings: Sequence[Finding]) -> tuple[list[tuple[Finding, Culprits]], Attribution]:
        """The findings whose culprits are known, with these; the traffic and its owners."""
        answers = [(each, culprits) for each in findings if (culprits := self._culprits(each))]
        traffic = self._traffic()
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
        listing = self._sockets
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
        crossings, note = self._crossings(window, direction).of(index)
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
        )
        entries = missing_owners.user_entries(users, self._count, "bytes")
        return clause, evidence | ({"users": entries} if missing else {})

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
        if window is None or not window.traffic:
            return None
        links = {link.index: link for link in (each.link for each in self._interfaces.values()) if link.index}
        carried = interface_paths.carried_once(links, window.carried)
        return process_traffic.by_process(self._owned_traffic[1], window.seconds, carried, window.is_whole)

    @cached_property
    def _sockets(self) -> linux.SocketListing:
        return linux.read_socket_groups(self._deadline_s)

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
            name, user = (details.name, details.user) if details else (None, None)
            self._owners[pid] = Owner(pid, name, user, *linux.read_container_and_unit(pid))
        return self._owners[pid]


def _is_hidden(socket: Socket, owners: linux.SocketOwners) -> bool:
    """Whether a process has the socket open, but is not visible."""
    return socket.inode > 0 and socket.state != "CLOSE" and socket.inode not in owners.pids


_LOOKUPS: Mapping[str, Callable[[Lookup, Finding], Culprits | None]] = {
    "connections": Lookup._connections,
    **dict.fromkeys(loss_lookups.LOOKUPS, Lookup._loss),
    **dict.fromkeys(RATES, Lookup._rate),
}
#: The checks whose culprits can be looked up.
CHECKS = frozenset(_LOOKUPS)
