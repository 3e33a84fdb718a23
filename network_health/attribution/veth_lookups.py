"""Looks up the culprits of a high rate of a veth interface in the network namespace at its other end.

Guarantees: at most `MAX_ENTERED` namespaces are entered in one check, each for a second, those with the
highest rates first. An answer is kept as `kept_answers` says. It replaces that of the host's own sockets only
if these do not explain the rate. A sample with less than half of the rate gives no answer.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from network_health.attribution.call_window import CountedWindows
from network_health.attribution.evidence import MIN_PERCENT, Culprits
from network_health.attribution.kept_answers import KeptAnswers
from network_health.attribution.lookup import Lookup
from network_health.attribution.loss_readings import LossReadings
from network_health.attribution.rate_lookups import RATES
from network_health.attribution.traffic_window import TrafficWindows
from network_health.model import Attribution, Finding, Interface, Link, Namespace, Snapshot
from network_health.settings import Settings
from network_health.sources import linux

Attributed = tuple[tuple[Finding, ...], Attribution]

MAX_ENTERED = 3
SAMPLE_S = 1.0
#: How long the search for owners may take in each namespace.
_SEARCH_S = 1.5
#: No namespace is entered later than this after the start of the lookups of a check.
_LATEST_S = 6.0
#: What one end of a veth sends, the other one receives.
_OTHER_END = {"tx_rate": "rx_rate", "rx_rate": "tx_rate"}


class VethLookups:
    """Keeps the answers of the checks before."""

    def __init__(self, losses: LossReadings) -> None:
        self._losses = losses
        self._kept = KeptAnswers(linux.read_start_time, linux.read_descriptor_count)

    def improved(
        self,
        found: Attributed | None,
        findings: Sequence[Finding],
        snapshot: Snapshot,
        settings: Settings,
        started_s: float,
    ) -> Attributed | None:
        """``found``, the result for ``findings``, with the culprits that are in other namespaces."""
        known, attribution = found or (tuple(findings), Attribution())
        ends = _ends(snapshot) if settings.process_network != "off" else {}
        wanted = [
            each
            for each in known
            if each.check in RATES and each.subject in ends and not _is_explained(each, attribution.evidence)
        ]
        due = self._kept.due(wanted, settings.culprit_refresh_sec, started_s)
        answers, failures = [], [attribution.failure] if attribution.failure else []
        for finding in sorted(due, key=lambda each: -each.value)[:MAX_ENTERED]:
            if time.monotonic() > started_s + _LATEST_S:
                break
            try:
                answer = self._look_up(finding, *ends[finding.subject], snapshot, settings)
                answers += [(finding, answer)] if answer else []
            except (OSError, ValueError) as error:
                failures.append(f"{finding.check}: {type(error).__name__}: {error}")
        self._kept.keep(answers, started_s)
        named, evidence = self._kept.applied(wanted, started_s)
        if not evidence and len(failures) == bool(attribution.failure):
            return found
        clauses = {(each.check, each.subject): each for each in named if each.culprit}
        return (
            tuple(clauses.get((each.check, each.subject), each) for each in known),
            replace(attribution, evidence=_with(attribution.evidence, evidence), failure="; ".join(failures)),
        )

    def _look_up(
        self, finding: Finding, end: Link, namespace: Namespace, snapshot: Snapshot, settings: Settings
    ) -> Culprits | None:
        def look_up() -> tuple[list[tuple[Finding, Culprits]], Attribution, float]:
            with contextlib.closing(CountedWindows() if settings.bpf else TrafficWindows()) as windows:
                windows.read()
                time.sleep(SAMPLE_S)
                # That calls cannot be counted is a failure of the host's lookup, not of this one.
                window = replace(windows.read(is_last=True), calls_failure="")
            lookup = Lookup(
                linux.OwnerFinder(),
                self._losses,
                replace(snapshot, interfaces=(Interface(end),)),
                settings,
                window,
                search_s=_SEARCH_S,
            )
            other = replace(finding, check=_OTHER_END[finding.check])
            return *lookup.attribute([other]), window.seconds

        answers, attribution, seconds = linux.call_in_namespace(namespace.pid, namespace.inode, look_up)
        if attribution.failure:
            raise OSError(attribution.failure)
        for _, (clause, evidence) in answers:
            if clause and 2 * evidence["bytes"] * 8 / 1e6 >= finding.value * seconds:
                return _seen_from_here(clause, evidence, finding, namespace)
        return None


def _ends(snapshot: Snapshot) -> dict[str, tuple[Link, Namespace]]:
    """By the name of a veth interface: its other end, under the same name, and the namespace that has it."""
    seen = snapshot.namespaces.entries if snapshot.namespaces else ()
    by_id = {each.kernel_id: each for each in seen if each.kernel_id is not None}
    links = (each.link for each in snapshot.interfaces or ())
    return {
        link.name: (Link(link.name, up=True, index=link.peer_index), by_id[link.peer_namespace])
        for link in links
        if link.peer_index is not None and link.peer_namespace in by_id
    }


def _is_explained(finding: Finding, evidence: Mapping[str, Any]) -> bool:
    """Whether the host's own sockets have a part of the bytes that is worth a name."""
    return any(
        each["coverage_percent"] >= MIN_PERCENT
        for each in evidence.get(finding.check, ())
        if each["iface"] == finding.subject
    )


def _seen_from_here(
    clause: str, evidence: Mapping[str, Any], finding: Finding, namespace: Namespace
) -> Culprits:
    """The culprits of the other end, with the direction of this one; each process with its namespace."""
    for process in evidence["processes"]:
        for each in (process, *process.get("shared_with", ())):
            pid = each.get("pid")
            clause = clause.replace(f"[{pid}]", f"[{pid}] in {namespace.label}") if pid else clause
    return clause, {**evidence, "direction": RATES[finding.check], "namespace": namespace.label}


def _with(host: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence of the host, with that of other namespaces instead of what it has about the same."""

    def entries(check: str) -> Iterator[Mapping[str, Any]]:
        found = evidence[check]
        interfaces = {each["iface"] for each in found}
        yield from (each for each in host.get(check, ()) if each["iface"] not in interfaces)
        yield from found

    return {**host, **{check: list(entries(check)) for check in evidence}}
