"""The evidence of one check: each finding's culprits, looked up once and for all findings together.

Law: each finding stands alone. What the kernel refuses for one of them is noted under ``failures``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from network_health.attribution import connection_culprits, loss_culprits, ownership, process_traffic
from network_health.attribution.connection_culprits import Culprits
from network_health.attribution.tcp_window import Window
from network_health.model import Attribution, Finding, Owner, Snapshot, Socket, Traffic
from network_health.settings import Settings
from network_health.sources.linux import (
    OwnerFinder,
    SocketListing,
    SocketOwners,
    SocketUser,
    container_and_unit,
    read_cgroup_path,
    read_connected_to,
    read_conntrack_sources,
    read_container_and_unit,
    read_listeners,
    read_loss_kinds,
    read_process_details,
    read_socket_groups,
    user_name,
)

RATES = {"tx_rate": "outbound", "rx_rate": "inbound"}

#: How long the search for owners may take, for all findings together.
_SEARCH_S = 6.0


@dataclass(slots=True)
class ReportedLosses:
    """Lifetime counts that were told already: losses by interface and kind, refusals by listener."""

    kinds: Mapping[int, Mapping[str, int]]
    refused: Mapping[int, int]


class Lookup:
    """One check. ``window`` is what the sockets moved, if that is known; ``past`` is brought up to date."""

    def __init__(
        self,
        finder: OwnerFinder,
        past: ReportedLosses,
        snapshot: Snapshot,
        settings: Settings,
        window: Window | None,
    ) -> None:
        self._finder = finder
        self._past = past
        self._snapshot = snapshot
        self._settings = settings
        self._count = settings.top_n_procs or 1
        self._window = window
        self._until_s = time.monotonic() + _SEARCH_S
        self._people: dict[int, Owner] = {}
        self._evidence: dict[str, object] = {}
        self._of_interfaces: dict[str, list[object]] = {}
        self._failures: list[str] = []

    def judge(self, findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], Attribution]:
        """The findings with their culprits, and everything that was found out."""
        told = tuple(self._accuse(finding) if finding.breached else finding for finding in findings)
        bytes_of = self._traffic()
        for process in bytes_of.processes[: self._count] if bytes_of else ():
            self._named(process.pid)
        evidence = {**self._evidence, **self._of_interfaces}
        return told, Attribution(evidence, bytes_of, self._people, "; ".join(self._failures))

    def _accuse(self, finding: Finding) -> Finding:
        ask = _QUESTIONS.get(finding.check)
        if ask is None:
            return finding
        try:
            answer = ask(self, finding)
        except (OSError, ValueError) as error:
            self._failures.append(f"{finding.check}: {type(error).__name__}: {error}")
            return finding
        if answer is None:
            return finding
        clause, found = answer
        if finding.subject == "host":
            self._evidence[finding.check] = found
        else:
            self._of_interfaces.setdefault(finding.check, []).append(found)
        return replace(finding, culprit=clause)

    @cached_property
    def _everyone(self) -> SocketListing:
        return read_socket_groups(self._until_s)

    def _connections(self, _: Finding) -> Culprits:
        everyone = self._everyone
        held = sum(each.sockets - each.without_owner for each in everyone.groups)
        hidden = sum(each.owner_unknown for each in everyone.groups)
        note = _note(hidden, held, everyone)
        clause, found = connection_culprits.of_connections(everyone.groups, self._named, self._count, note)
        return clause, found | ({"users": self._users(everyone.users)} if note else {})

    def _rate(self, finding: Finding) -> Culprits | None:
        window, interfaces = self._window, self._snapshot.interfaces or ()
        interface = next((i for i in interfaces if i.link.name == finding.subject), None)
        if window is None or interface is None:
            return None
        positions = connection_culprits.routed(window.moves, interfaces)[finding.subject]
        owned, movers = self._movers
        return connection_culprits.of_rate(
            interface,
            RATES[finding.check],
            [(window.moves[p], movers[p]) for p in positions],
            round(finding.value * 1e6 / 8 * window.seconds),
            self._named,
            {each.local_port for each in window.listeners},
            self._count,
            _note_of_moves(owned, [window.moves[p].socket for p in positions]),
        )

    def _packet_errors(self, finding: Finding) -> Culprits | None:
        interfaces = self._snapshot.interfaces or ()
        interface = next((i for i in interfaces if i.link.name == finding.subject), None)
        if interface is None or interface.link.index is None:
            return None
        kinds = read_loss_kinds().get(interface.link.index, {})
        are_all_new = interface.since_boot or self._settings.packet_errors == "total"
        before = {} if are_all_new else self._past.kinds.get(interface.link.index, {})
        self._past.kinds = {**self._past.kinds, interface.link.index: kinds}
        return loss_culprits.of_kinds(finding.subject, loss_culprits.new_since(before, kinds))

    def _listeners(self, _: Finding) -> Culprits:
        listeners = read_listeners()
        refused = {s.cookie: s.drops for s in listeners}
        new = loss_culprits.new_since(self._past.refused, refused)
        self._past.refused = refused
        owned = self._find(listeners)
        pids = [owned.pids.get(s.inode) for s in listeners]
        return loss_culprits.of_listeners(listeners, new, pids, self._named, self._count)

    def _ephemeral_ports(self, _: Finding) -> Culprits | None:
        use = self._snapshot.protocols.busiest_ports if self._snapshot.protocols else None
        if use is None:
            return None
        return loss_culprits.of_route(use, self._everyone.groups, self._named, self._count)

    def _conntrack(self, _: Finding) -> Culprits | None:
        sources = read_conntrack_sources()
        return loss_culprits.of_conntrack(sources, self._count) if sources else None

    @cached_property
    def _movers(self) -> tuple[SocketOwners, list[int | None]]:
        """The holder of each socket of the window's moves."""
        if self._window is None:
            return SocketOwners({}), []
        moved, listeners = [move.socket for move in self._window.moves], self._window.listeners
        ports = {each.local_port for each in listeners}
        opened = [s for s in moved if s.state == "CLOSE" and s.local_port not in ports]
        talking = read_connected_to({(s.remote, s.remote_port) for s in opened}) if opened else []
        owned = self._find([*moved, *listeners, *talking])
        return owned, ownership.owners_of(moved, owned.pids, listeners, talking)

    def _traffic(self) -> Traffic | None:
        window = self._window
        if window is None or not window.moves:
            return None
        carried = process_traffic.carried_by(self._snapshot.interfaces or (), window.seconds)
        return process_traffic.of_processes(
            window.moves, self._movers[1], window.seconds, carried, window.is_whole
        )

    def _find(self, involved: Iterable[Socket]) -> SocketOwners:
        return self._finder.find((s.inode for s in involved), self._until_s)

    def _users(self, users: Counter[SocketUser]) -> list[dict[str, object]]:
        """Whose the sockets are whose processes are not visible: the kernel tells user and cgroup."""
        found: list[dict[str, object]] = []
        for (uid, cgroup), n in users.most_common(self._count):
            container, unit = container_and_unit(read_cgroup_path(cgroup)) if cgroup else (None, None)
            found.append({"user": user_name(uid), "container": container, "unit": unit, "count": n})
        return found

    def _named(self, pid: int) -> Owner:
        if pid not in self._people:
            seen = read_process_details([pid]).get(pid)
            name, user = (seen.name, seen.user) if seen else (None, None)
            self._people[pid] = Owner(pid, name, user, *read_container_and_unit(pid))
        return self._people[pid]


def _note(hidden: int, held: int, search: SocketListing | SocketOwners) -> str:
    """What to say where many owners are missing because not every process could be looked at."""
    if not hidden or 100 * hidden < connection_culprits.LEAST_PERCENT * held:
        return ""
    if search.timed_out:
        return connection_culprits.LATE
    return connection_culprits.INVISIBLE if search.access_denied else ""


def _note_of_moves(owned: SocketOwners, involved: Iterable[Socket]) -> str:
    held = [s.inode for s in involved if s.inode]
    return _note(sum(inode not in owned.pids for inode in held), len(held), owned)


_QUESTIONS: Mapping[str, Callable[[Lookup, Finding], Culprits | None]] = {
    "connections": Lookup._connections,
    "packet_errors": Lookup._packet_errors,
    "listen_overflows": Lookup._listeners,
    "syn_queue_drops": Lookup._listeners,
    "ephemeral_ports": Lookup._ephemeral_ports,
    "conntrack": Lookup._conntrack,
    **dict.fromkeys(RATES, Lookup._rate),
}
#: The findings that something can be found out of.
CHECKS = frozenset(_QUESTIONS)
