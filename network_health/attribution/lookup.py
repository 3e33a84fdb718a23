"""Looks up the culprits of one check's findings. If several findings need the same data, it is read once.

Guarantees: an error in the lookup for one finding is noted and does not affect the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from network_health.attribution import loss_lookups
from network_health.attribution.connection_lookups import ConnectionLookups
from network_health.attribution.evidence import Culprits
from network_health.attribution.loss_readings import LossReadings
from network_health.attribution.namespace_traffic import NamespaceTraffic
from network_health.attribution.owner_lookups import OwnerLookups, read_connected
from network_health.attribution.rate_lookups import RATES, RateLookups
from network_health.attribution.traffic_window import Window
from network_health.model import Attribution, Finding, Snapshot
from network_health.settings import Settings
from network_health.sources import linux

#: How long the search for owners may take in one check.
SEARCH_S = 6.0


@dataclass
class Lookup:
    """The lookup of one check; updates ``losses``.

    ``window`` has the TCP traffic to report, ``resent_window`` the segments that were sent again; ``None`` if
    they were not read. The search for owners may take ``search_s``. ``others`` is the traffic of other
    namespaces in the same window.
    """

    finder: linux.OwnerFinder
    losses: LossReadings
    snapshot: Snapshot
    settings: Settings
    window: Window | None
    resent_window: Window | None = None
    search_s: float = SEARCH_S
    others: Sequence[NamespaceTraffic] = ()

    def __post_init__(self) -> None:
        window = self.window
        calls = window.calls.traffic if window and window.calls else ()
        self._count = self.settings.top_n_procs or 1
        self._interfaces = {each.link.name: each for each in self.snapshot.interfaces or ()}
        # Of several processes that had the same pid, the last one: see `CallCrossings`.
        counted = {each.pid: each for each in sorted(calls, key=lambda each: each.started)}
        labels = {each.namespace.inode: each.namespace.label for each in self.others}
        self.owners = OwnerLookups(self.finder, self.search_s, counted, labels)
        self._connections = ConnectionLookups(self.snapshot, self.owners, self._count)
        self._rates = (
            RateLookups(window, self._interfaces, self.settings, self.owners, self.others) if window else None
        )
        self._failures = [window.calls_failure] if window and window.calls_failure else []

    def attribute(self, findings: Sequence[Finding]) -> tuple[list[tuple[Finding, Culprits]], Attribution]:
        """The findings whose culprits are known, with these; the traffic and its owners."""
        self._connections.due = [each.subject for each in findings if each.check == "namespace_connections"]
        answers = [(each, culprits) for each in findings if (culprits := self._culprits(each))]
        traffic = self._rates.traffic() if self._rates else None
        for process in traffic.processes[: self._count] if traffic else ():
            self.owners.owner_of((process.pid, *process.shared_with))
        return answers, Attribution({}, traffic, self.owners.known, "; ".join(self._failures))

    def _culprits(self, finding: Finding) -> Culprits | None:
        look_up = _LOOKUPS.get(finding.check)
        try:
            return look_up(self, finding) if look_up else None
        except (OSError, ValueError) as error:
            self._failures.append(f"{finding.check}: {type(error).__name__}: {error}")
            return None

    def _rate(self, finding: Finding) -> Culprits | None:
        return self._rates.of(finding) if self._rates else None

    def _loss(self, finding: Finding) -> Culprits | None:
        context = loss_lookups.Context(
            self.snapshot,
            self._interfaces,
            self.settings,
            self.losses,
            self.owners.find,
            self.owners.owner_of,
            lambda: self._connections.sockets.groups,
            self.resent_window,
            lambda sockets, listeners: self.owners.of_sockets([read_connected(sockets, listeners)])[1][0],
        )
        return loss_lookups.LOOKUPS[finding.check](context, finding)


_LOOKUPS: Mapping[str, Callable[[Lookup, Finding], Culprits | None]] = {
    "connections": lambda lookup, finding: lookup._connections.of_host(finding),
    "namespace_connections": lambda lookup, finding: lookup._connections.of_namespace(finding),
    **dict.fromkeys(loss_lookups.LOOKUPS, Lookup._loss),
    **dict.fromkeys(RATES, Lookup._rate),
}
#: The checks whose culprits can be looked up.
CHECKS = frozenset(_LOOKUPS)
