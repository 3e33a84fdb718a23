"""Looks up whose packets this host forwards, for a high rate that no process explains.

Guarantees: nothing is sampled on a host that never forwarded a packet. An answer is kept as `kept_answers`
says, also that nothing is known. The lookup has a time limit of its own: what is found without it is reported
in any case. A sample with less than half of the rate gives no answer. Processes that are
known are named first; forwarded bytes that may be theirs name nobody.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from network_health.attribution import forwarded_flows, forwarded_packets, forwarded_window
from network_health.attribution.evidence import Culprits, clause
from network_health.attribution.forwarded_flows import Part
from network_health.attribution.forwarded_ways import ForwardedTraffic, read_places, read_ways
from network_health.attribution.forwarded_window import ForwardedWindow
from network_health.attribution.improver import Attributed
from network_health.attribution.interface_paths import DIRECTIONS, ROUTES_DISAGREE, Crossings
from network_health.attribution.interface_traffic import Addresses, read_routed
from network_health.attribution.kept_answers import KeptAnswers
from network_health.attribution.rate_lookups import RATES
from network_health.model import Finding, Snapshot
from network_health.settings import Settings
from network_health.sources import Answer, Isolated, linux

SAMPLE_S = 1.0
#: No sample is started later than this after the start of the lookups of a check: with two listings of many
#: flows it takes up to 5 s.
_LATEST_S = 4.0
_MAX_S = 5.0
#: Forwarded bytes are looked up unless processes have this share of a rate.
_EXPLAINED_PERCENT = 50
#: Two samples of one rate differ a little.
_AT_MOST_PERCENT = 105
#: What would name the flow, if the kernel counts packets only.
_HINT = "net.netfilter.nf_conntrack_acct=1 would name source and destination"


class ForwardedLookups:
    """Keeps the answers of the checks before."""

    def __init__(self) -> None:
        self._kept = KeptAnswers()
        self._isolated = Isolated[list[tuple[Finding, Culprits]]]("forwarded", _MAX_S)

    def improved(
        self, found: Attributed, snapshot: Snapshot, settings: Settings, started_s: float
    ) -> Attributed:
        """``found`` with what was forwarded; see `improver.Improver`."""
        known, attribution = found
        wanted = [
            each
            for each in known
            if each.check in RATES
            and settings.process_network != "off"
            and _entry(attribution.evidence, each).get("coverage_percent", 0) < _EXPLAINED_PERCENT
        ]
        due = self._kept.due(wanted, settings.culprit_refresh_sec, started_s)
        failures = [attribution.failure, *self._kept.failures()]
        if due and time.monotonic() >= started_s + _LATEST_S:
            failures.append("forwarded: no time was left to look into forwarded packets")
        elif due:
            outcome = self._isolated.run(lambda: Answer([*_look_up(due, snapshot, settings)], "kernel"))
            self._kept.keep(outcome.value or (), started_s)
            if outcome.failure:
                failures.append(f"forwarded: {outcome.failure.reason}")
                self._kept.fail(due, failures[-1], started_s)
        failure = "; ".join(each for each in failures if each)
        named, kept = self._kept.applied(wanted, started_s)
        texts = {(each.check, each.subject): each.culprit for each in named}
        improved, evidence = list[Finding](), dict(attribution.evidence)
        for finding in known:
            forwarded = _entry(kept, finding)
            if "forwarded" in forwarded:
                host = _entry(evidence, finding)
                text = texts[finding.check, finding.subject]
                finding = replace(finding, culprit=_joined(finding.culprit, text, host, forwarded))
                evidence[finding.check] = [*_others(evidence, finding), _merged(host, forwarded)]
            improved.append(finding)
        if failure == attribution.failure and evidence == attribution.evidence:
            return found
        return tuple(improved), replace(attribution, evidence=evidence, failure=failure)


def _look_up(
    findings: Sequence[Finding], snapshot: Snapshot, settings: Settings
) -> Iterator[tuple[Finding, Culprits]]:
    """The answers to findings; nothing is sampled if this host never forwarded a packet."""
    counted = linux.read_ip_counters()
    lookup = None
    if counted is not None and counted.forwarded:
        lookup = _Lookup(forwarded_window.sample(SAMPLE_S), snapshot, settings)
    for finding in findings:
        yield finding, lookup.of(finding) if lookup else ("", {"iface": finding.subject})


class _Lookup:
    """The lookups in one sample; ``forwarded`` in their evidence is missing if nothing is known."""

    def __init__(self, window: ForwardedWindow, snapshot: Snapshot, settings: Settings) -> None:
        self._window, self._snapshot = window, snapshot
        self._count = settings.top_n_procs or 1
        self._links = {each.link.name: each.link for each in snapshot.interfaces or ()}

    def of(self, finding: Finding) -> Culprits:
        """The texts of the clause, and the evidence."""
        link, direction = self._links.get(finding.subject), DIRECTIONS[RATES[finding.check]]
        index = link.index if link else None
        carried = self._window.carried.get(index or 0, (0, 0))[direction]
        if not index or 2 * carried * 8 / 1e6 < finding.value * self._window.seconds:
            return "", {"iface": finding.subject}
        part, note = self._of_flows(index, direction, carried)
        if not part or not part.texts:
            part = self._of_packets(index, direction) or part
        texts = [*(part.texts if part else ()), *([note] if note else [])]
        note = note or self._window.failure
        evidence = {**(part.evidence if part else {}), **({"note": note} if note else {})}
        base = {"iface": finding.subject, "direction": RATES[finding.check], "bytes": carried}
        return ", ".join(texts), base | ({"forwarded": evidence} if evidence else {})

    def _of_flows(self, index: int, direction: int, carried: int) -> tuple[Part | None, str]:
        traffic = self._traffic
        if traffic is None:
            return None, ""
        packets = self._window.counted.forwarded if self._window.counted else 0
        if not forwarded_flows.is_possible(traffic.flows, packets):
            return None, forwarded_flows.NOT_FORWARDED
        carried_by = self._window.carried
        # Packets that are dropped here are tracked, too: other flows then leave too little room for them.
        everything = Crossings(direction, traffic.of_all, traffic.paths, carried_by).of(index)
        if everything[1] == ROUTES_DISAGREE:
            return None, ROUTES_DISAGREE
        crossings, note = Crossings(direction, traffic.by_way, traffic.paths, carried_by).of(index)
        ends = forwarded_flows.largest_ends(crossings, direction)
        namespaces = self._snapshot.namespaces.entries if self._snapshot.namespaces else ()
        places = read_places(traffic, ends, namespaces, carried_by)
        return forwarded_flows.part_of(crossings, direction, carried, self._count, places), note

    def _of_packets(self, index: int, direction: int) -> Part | None:
        """What is known without the bytes of flows."""
        window = self._window
        if window.counted is None:
            return None
        paths = self._traffic.paths if self._traffic else read_routed((), window.rerouted).paths
        packets = forwarded_packets.at_least(index, direction, paths, window.packets, window.counted)
        of_all = window.packets[index][direction]
        return forwarded_packets.part_of(packets, of_all, "" if window.is_accounting is not False else _HINT)

    @cached_property
    def _traffic(self) -> ForwardedTraffic | None:
        """``None`` if the bytes of flows are not known."""
        if self._window.flows is None:
            return None
        listed = linux.read_interface_addresses()
        own = {each.address for each in listed}
        flows = forwarded_flows.forwarded(self._window.flows, own)
        ended_here = forwarded_flows.with_own_end(self._window.flows, own)
        return read_ways(flows, ended_here, Addresses(listed), self._window.rerouted)


def _entry(evidence: Mapping[str, Any], finding: Finding) -> dict[str, Any]:
    """The evidence about the interface of a rate; empty without."""
    if finding.check not in RATES:
        return {}
    found = (each for each in evidence.get(finding.check, ()) if each["iface"] == finding.subject)
    return dict(next(found, {}))


def _others(evidence: Mapping[str, Any], finding: Finding) -> Iterator[Any]:
    """The evidence about other interfaces."""
    yield from (each for each in evidence.get(finding.check, ()) if each["iface"] != finding.subject)


def _merged(host: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence of the host about an interface, with what was forwarded, and its age."""
    forwarded = {**found["forwarded"], "age_s": found["age_s"]}
    return {"processes": [], "coverage_percent": 0.0, **found, **host, "forwarded": forwarded}


def _joined(culprit: str, text: str, host: Mapping[str, Any], forwarded: Mapping[str, Any]) -> str:
    """The clause with what was forwarded, before its note; unchanged if both may be about the same bytes."""
    if "namespace" in host and "flows" not in forwarded["forwarded"]:  # that says more
        return culprit
    # What is not TCP here was not forwarded; seen from another namespace it may be.
    not_tcp = {} if "namespace" in host else host.get("not_tcp", {})
    own = host.get("coverage_percent", 0) + not_tcp.get("percent", 0)
    if not text or own + forwarded["forwarded"].get("percent", 0) > _AT_MOST_PERCENT:
        return culprit
    note = host.get("note", "")
    inside = culprit.removeprefix(" (").removesuffix(")").removesuffix(note).removesuffix(", ")
    parts = [each for each in (inside, text) if each]
    return clause(parts, "" if note == text else note)
