"""Looks up the culprits of one check's findings. If several findings need the same data, it is read once.

Guarantees: an error in the lookup for one finding is noted and does not affect the others.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from network_health.attribution import (
    connection_culprits,
    interface_paths,
    interface_traffic,
    loss_lookups,
    ownership,
    process_traffic,
    rate_culprits,
)
from network_health.attribution.evidence import MIN_PERCENT, Culprits
from network_health.attribution.interface_paths import InterfacePaths
from network_health.attribution.loss_readings import LossReadings
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.attribution.traffic_window import Window
from network_health.model import Attribution, Finding, Holders, Owner, Snapshot, Socket, Traffic
from network_health.settings import Settings
from network_health.sources import linux

RATES = {"tx_rate": "outbound", "rx_rate": "inbound"}

ACCESS_DENIED = "owner not visible without CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
NOT_HELD = "no visible process has them open"
#: Why owners are missing, by what hides processes.
OBSTACLES = {
    linux.HIDEPID: "owner not visible: /proc has hidepid, needs CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH",
    linux.PID_NAMESPACE: "owner not visible from this PID namespace, run the agent in the host's",
    None: NOT_HELD,
}
TIMED_OUT = "not all owners found in time"

#: How long the search for owners may take in one check.
_SEARCH_S = 6.0


@dataclass
class Lookup:
    """The lookup of one check. ``window`` has the TCP traffic, if it was read; updates ``losses``."""

    finder: linux.OwnerFinder
    losses: LossReadings
    snapshot: Snapshot
    settings: Settings
    window: Window | None

    def __post_init__(self) -> None:
        self._count = self.settings.top_n_procs or 1
        self._deadline_s = time.monotonic() + _SEARCH_S
        self._interfaces = {each.link.name: each for each in self.snapshot.interfaces or ()}
        self._owners: dict[int, Owner] = {}
        self._host_evidence: dict[str, object] = {}
        self._interface_evidence: dict[str, list[object]] = {}
        self._failures: list[str] = []

    def attribute(self, findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], Attribution]:
        """The findings with their culprits, and the evidence."""
        findings = tuple(self._with_culprit(each) if each.breached else each for each in findings)
        traffic = self._traffic()
        for process in traffic.processes[: self._count] if traffic else ():
            self._owner_of((process.pid, *process.shared_with))
        evidence = {**self._host_evidence, **self._interface_evidence}
        return findings, Attribution(evidence, traffic, self._owners, "; ".join(self._failures))

    def _with_culprit(self, finding: Finding) -> Finding:
        look_up = _LOOKUPS.get(finding.check)
        try:
            culprits = look_up(self, finding) if look_up else None
        except (OSError, ValueError) as error:
            self._failures.append(f"{finding.check}: {type(error).__name__}: {error}")
            return finding
        if culprits is None:
            return finding
        clause, evidence = culprits
        if finding.subject == "host":
            self._host_evidence[finding.check] = evidence
        else:
            self._interface_evidence.setdefault(finding.check, []).append(evidence)
        return replace(finding, culprit=clause)

    def _connections(self, _: Finding) -> Culprits:
        listing = self._sockets
        owned = sum(each.sockets - each.without_owner for each in listing.groups)
        note = _note(sum(each.owner_unknown for each in listing.groups), owned, listing)
        clause, evidence = connection_culprits.of_connections(
            listing.groups, self._owner_of, self._count, note
        )
        return clause, evidence | ({"users": _user_entries(listing.users, self._count)} if note else {})

    def _rate(self, finding: Finding) -> Culprits | None:
        window, interface = self.window, self._interfaces.get(finding.subject)
        if window is None or interface is None:
            return None
        index = interface.link.index
        if index is None or index not in window.carried:  # it is new, or its counters went back
            return None
        paths, routed = self._routed_traffic
        direction = RATES[finding.check]
        crossings, note = interface_paths.crossings(index, direction, routed, paths, window.carried)
        way = interface_paths.DIRECTIONS[direction]
        carried, owners = window.carried[index][way], self._owned_traffic[0]
        hidden = sum(
            interface_paths.bytes_of(each, way)
            for crossing in crossings
            for each, _ in crossing.traffic
            if _is_hidden(each.socket, owners)
        )
        return rate_culprits.of_rate(
            interface,
            direction,
            crossings,
            carried,
            self._owner_of,
            {each.local_port for each in window.listeners},
            self._count,
            _note(hidden, carried, owners) or note,
        )

    def _loss(self, finding: Finding) -> Culprits | None:
        context = loss_lookups.Context(
            self.snapshot,
            self.settings,
            self.losses,
            lambda inodes: self.finder.find(inodes, self._deadline_s),
            self._owner_of,
            lambda: self._sockets.groups,
        )
        return loss_lookups.LOOKUPS[finding.check](context, finding)

    def _traffic(self) -> Traffic | None:
        window = self.window
        if window is None or not window.traffic:
            return None
        links = {link.index: link for link in (each.link for each in self._interfaces.values()) if link.index}
        paths = InterfacePaths(links)
        carried = interface_paths.carried_once(paths, window.carried, links)
        return process_traffic.by_process(self._owned_traffic[1], window.seconds, carried, window.is_whole)

    @cached_property
    def _sockets(self) -> linux.SocketListing:
        return linux.read_socket_groups(self._deadline_s)

    @cached_property
    def _routed_traffic(self) -> tuple[InterfacePaths, Mapping[int, Sequence[OwnedTraffic]]]:
        return interface_traffic.read_paths(), interface_traffic.read_routed(self._owned_traffic[1])

    @cached_property
    def _owned_traffic(self) -> tuple[linux.SocketOwners, list[OwnedTraffic]]:
        """The traffic of the window with its owners, and the result of the search for them."""
        if self.window is None:
            return linux.SocketOwners({}), []
        sockets, listeners = [each.socket for each in self.window.traffic], self.window.listeners
        ports = {each.local_port for each in listeners}
        closed = [each for each in sockets if each.state == "CLOSE" and each.local_port not in ports]
        # A closed connection has no owner, but its process may have another one to the same endpoint.
        connected = linux.read_connected_to({(s.remote, s.remote_port) for s in closed}) if closed else []
        owners = self._find_owners([*sockets, *listeners, *connected])
        pids = ownership.owners_of(sockets, owners.pids, listeners, connected)
        return owners, list(zip(self.window.traffic, pids, strict=True))

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
        if pid not in self._owners:
            details = linux.read_process_details([pid]).get(pid)
            name, user = (details.name, details.user) if details else (None, None)
            self._owners[pid] = Owner(pid, name, user, *linux.read_container_and_unit(pid))
        return self._owners[pid]


def _is_hidden(socket: Socket, owners: linux.SocketOwners) -> bool:
    """Whether a process has the socket open, but is not visible."""
    return socket.inode > 0 and socket.state != "CLOSE" and socket.inode not in owners.pids


def _user_entries(users: Counter[linux.SocketUser], count: int) -> list[dict[str, object]]:
    """Users and cgroups of sockets, which the kernel reports also if the processes are not visible."""
    entries: list[dict[str, object]] = []
    for (uid, cgroup), n in users.most_common(count):
        container, unit = linux.container_and_unit(linux.read_cgroup_path(cgroup)) if cgroup else (None, None)
        entries.append({"user": linux.user_name(uid), "container": container, "unit": unit, "count": n})
    return entries


def _note(unknown: int, total: int, search: linux.SocketListing | linux.SocketOwners) -> str:
    """Why many of all sockets, or bytes, have an ``unknown`` owner; empty if few have."""
    if not unknown or 100 * unknown < MIN_PERCENT * total:
        return ""
    if search.timed_out:
        return TIMED_OUT
    return ACCESS_DENIED if search.access_denied else OBSTACLES[linux.read_obstacle()]


_LOOKUPS: Mapping[str, Callable[[Lookup, Finding], Culprits | None]] = {
    "connections": Lookup._connections,
    **dict.fromkeys(loss_lookups.LOOKUPS, Lookup._loss),
    **dict.fromkeys(RATES, Lookup._rate),
}
#: The checks whose culprits can be looked up.
CHECKS = frozenset(_LOOKUPS)
