"""Finds out who is behind a finding, while the evidence is still there.

Laws: nothing is looked up while all is well, but for the bytes of the TCP sockets where they are few
(``process_network``). What cannot be found out leaves its part of the answer out. No sentence of a
finding is changed, only a clause is added.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from network_health import culprit, traffic
from network_health.linux import cgroups, owners, procfs, sockets
from network_health.linux.destroyed import ClosedSockets
from network_health.model import Finding, Inquiry, Moved, Owner, Snapshot, Socket, Traffic
from network_health.settings import Settings

__all__ = ["FEW_SOCKETS", "Inquirer"]

#: Up to so many sockets their bytes are read in every check: about 2 ms.
FEW_SOCKETS = 1000
#: Without an earlier reading the bytes of so long are what a rate is explained by.
SAMPLE_S = 1.0
#: How long the search for owners may take.
SEARCH_S = 4.0

_RATES = {"tx_rate": "outbound", "rx_rate": "inbound"}


@dataclass(frozen=True, slots=True)
class _Window:
    """What the TCP sockets did between two listings; ``here`` are those of the later one."""

    seconds: float
    moves: tuple[Moved, ...]
    here: tuple[Socket, ...]
    is_whole: bool


class _Ledger:
    """The bytes of the TCP sockets, from listing to listing."""

    def __init__(self) -> None:
        self._closed = ClosedSockets()
        self._at_s: float | None = None
        self._open: dict[int, Socket] = {}
        self._gone: dict[int, Socket] = {}

    def window(self) -> _Window:
        """What happened since the last call; at the first one nothing has."""
        at_s, here = time.monotonic(), sockets.read_moving()
        closed, is_whole = self._closed.take()
        before = {**self._gone, **self._open}
        is_first = self._at_s is None
        moves = () if is_first else traffic.moved(before, (*here, *closed))
        seconds = at_s - self._at_s if self._at_s is not None else 0.0
        self._at_s = at_s
        self._open, self._gone = traffic.remember(self._open, here, closed)
        return _Window(seconds, moves, tuple(here), is_whole)

    def close(self) -> None:
        self._closed.close()


class Inquirer:
    """Asks the kernel who it was. Reads the network namespace of the calling thread."""

    def __init__(self) -> None:
        self._owners = owners.OwnerFinder()
        self._ledger: _Ledger | None = None

    def examine(
        self, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings
    ) -> tuple[tuple[Finding, ...], Inquiry] | None:
        """The findings with their culprits, and what is known of them; ``None`` if nothing was asked.

        Raises:
            OSError: the kernel refuses.
            KernelFormatError: what it answers cannot be read.
        """
        window = self._watch(snapshot, settings)
        checks = {finding.check for finding in findings if finding.breached}
        if settings.process_network != "off" and window is None and checks & _RATES.keys():
            window = self._sample()
        if window is not None and settings.process_network != "always" and not checks & _OF_TRAFFIC:
            window = None
        everyone: list[Socket] = []
        if "connections" in checks:
            everyone = sockets.read_tcp() + sockets.read_udp()
        if window is None and not everyone:
            return None
        return _Case(self._owners, snapshot, settings, window, everyone).judge(findings)

    def close(self) -> None:
        """Stop listening."""
        if self._ledger is not None:
            self._ledger.close()
        self._ledger = None

    def _watch(self, snapshot: Snapshot, settings: Settings) -> _Window | None:
        """The window since the check before, where there is one and the settings let it be read."""
        total = snapshot.connections.total if snapshot.connections else None
        few = total is not None and total <= FEW_SOCKETS
        if not (settings.process_network == "always" or (settings.process_network == "auto" and few)):
            self.close()
            return None
        if self._ledger is None:
            self._ledger = _Ledger()
            self._ledger.window()
            return None
        return self._ledger.window()

    def _sample(self) -> _Window:
        ledger = self._ledger or _Ledger()
        try:
            ledger.window()
            time.sleep(SAMPLE_S)
            return ledger.window()
        finally:
            if ledger is not self._ledger:
                ledger.close()


_OF_TRAFFIC = _RATES.keys() | {"connections"}


class _Case:
    """The evidence of one check."""

    def __init__(
        self,
        finder: owners.OwnerFinder,
        snapshot: Snapshot,
        settings: Settings,
        window: _Window | None,
        everyone: Sequence[Socket],
    ) -> None:
        self._snapshot = snapshot
        self._count = settings.top_n_procs or 1
        self._window = window
        self._everyone = everyone
        self._people: dict[int, Owner] = {}
        here = window.here if window else ()
        moved = [move.socket for move in window.moves] if window else []
        asked = [s.inode for s in (*moved, *everyone)]
        asked += [s.inode for s in here if s.state == "LISTEN"]
        self._owned = finder.find(asked, time.monotonic() + SEARCH_S)
        self._listeners = traffic.Listeners(here)
        self._movers = traffic.holders(moved, self._listeners, self._owned.pids, here)

    def judge(self, findings: Sequence[Finding]) -> tuple[tuple[Finding, ...], Inquiry]:
        evidence: dict[str, object] = {}
        told = tuple(self._accuse(finding, evidence) if finding.breached else finding for finding in findings)
        bytes_of = self._traffic()
        for process in bytes_of.processes[: self._count] if bytes_of else ():
            self._named(process.pid)
        return told, Inquiry(evidence, bytes_of, self._people)

    def _accuse(self, finding: Finding, evidence: dict[str, object]) -> Finding:
        if finding.check == "connections" and self._everyone:
            clause, found = self._connections()
            evidence["connections"] = found
            return replace(finding, culprit=clause)
        if finding.check in _RATES and self._window:
            clause, found = self._rate(finding, self._window)
            evidence[finding.check] = [*_listed(evidence.get(finding.check)), found]
            return replace(finding, culprit=clause)
        return finding

    def _connections(self) -> culprit.Accused:
        listeners = traffic.Listeners(self._everyone)
        pids = traffic.holders(self._everyone, listeners, self._owned.pids)
        clause, found = culprit.of_connections(
            self._everyone, pids, self._named, self._count, self._note(self._everyone)
        )
        if "note" in found:
            found["users"] = self._users(self._everyone)
        return clause, found

    def _rate(self, finding: Finding, window: _Window) -> culprit.Accused:
        interfaces = self._snapshot.interfaces or ()
        interface = next(i for i in interfaces if i.link.name == finding.subject)
        positions = culprit.routed(window.moves, interfaces)[finding.subject]
        return culprit.of_rate(
            interface,
            _RATES[finding.check],
            [(window.moves[p], self._movers[p]) for p in positions],
            round(finding.value * 1e6 / 8 * window.seconds),
            self._named,
            self._listeners.ports,
            self._count,
            self._note([window.moves[p].socket for p in positions]),
        )

    def _traffic(self) -> Traffic | None:
        window = self._window
        if window is None or not window.seconds:
            return None
        carried = traffic.carried_by(self._snapshot.interfaces or (), window.seconds)
        return traffic.of_processes(window.moves, self._movers, window.seconds, carried, window.is_whole)

    def _note(self, involved: Iterable[Socket]) -> str:
        """What to say where owners are missing because others' processes may not be looked at."""
        hidden = self._owned.is_refused and any(s.inode and s.inode not in self._owned.pids for s in involved)
        return culprit.INVISIBLE if hidden else ""

    def _users(self, involved: Iterable[Socket]) -> list[dict[str, object]]:
        """Whose the sockets are whose processes are not visible: the kernel tells user and cgroup."""
        hidden = Counter((s.uid, s.cgroup) for s in involved if s.inode not in self._owned.pids)
        found: list[dict[str, object]] = []
        for (uid, cgroup), n in hidden.most_common(self._count):
            container, unit = cgroups.place_of(cgroups.read_path(cgroup)) if cgroup else (None, None)
            found.append({"user": owners.user_name(uid), "container": container, "unit": unit, "count": n})
        return found

    def _named(self, pid: int) -> Owner:
        if pid not in self._people:
            seen = procfs.read_process_details([pid]).get(pid)
            self._people[pid] = Owner(
                pid, seen.name if seen else None, seen.user if seen else None, *cgroups.read_place(pid)
            )
        return self._people[pid]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
