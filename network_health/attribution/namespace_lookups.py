"""Looks up the culprits of high rates in other network namespaces: of containers behind any interface.

Guarantees: the namespaces are entered when a culprit is due (`KeptAnswers`), all in the same second; nothing
of them stays open. The lookup has a time limit of its own, and so has the reading of each namespace: what is
found without them is reported in any case. An answer replaces that of the host's own sockets only if it
explains as much or more. A sample with less than half of the rate gives no answer.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from network_health.attribution.evidence import MIN_PERCENT, Culprits
from network_health.attribution.improver import Attributed
from network_health.attribution.kept_answers import KeptAnswers
from network_health.attribution.lookup import Lookup
from network_health.attribution.loss_readings import LossReadings
from network_health.attribution.namespace_choice import chosen
from network_health.attribution.namespace_traffic import sample_together
from network_health.attribution.process_traffic import carried_since
from network_health.attribution.rate_lookups import RATES
from network_health.attribution.sampling import SAMPLE_S
from network_health.model import Attribution, Finding, Namespace, Snapshot
from network_health.settings import Settings
from network_health.sources import Answer, Isolated, linux

#: Answers, and what is known with them.
_Found = tuple[list[tuple[Finding, Culprits]], Attribution]

#: How long the bytes of veths are compared to choose between namespaces.
_CHOICE_S = 0.2
#: No namespace is entered later than this after the start of the lookups of a check.
_LATEST_S = 4.0
#: Then all sockets must be read, all owners found, and the answer be known: each since the lookup's start.
_READ_S, _SEARCH_S, _MAX_S = 3.0, 4.0, 4.5
#: The answer to a finding that no other namespace explains.
_NO_ANSWER: Culprits = "", {}


class NamespaceLookups:
    """Keeps the answers of the checks before; owners are found with ``finder``."""

    def __init__(self, finder: linux.OwnerFinder, losses: LossReadings) -> None:
        self._finder, self._losses = finder, losses
        self._kept = KeptAnswers(linux.read_start_time, linux.read_descriptor_count)
        self._isolated = Isolated[_Found]("namespaces", _MAX_S)

    def improved(
        self, found: Attributed, snapshot: Snapshot, settings: Settings, started_s: float
    ) -> Attributed:
        """``found`` with the culprits that are in other namespaces; see `improver.Improver`."""
        known, attribution = found
        seen = snapshot.namespaces.entries if snapshot.namespaces else ()
        is_on = settings.process_network != "off" and bool(seen)
        unexplained = {
            each: share
            for each in known
            if is_on and each.check in RATES and (share := _explained(each, attribution.evidence)) < 90
        }
        due = self._kept.due(list(unexplained), settings.culprit_refresh_sec, started_s)
        failures = [attribution.failure, *self._kept.failures()]
        if due and time.monotonic() >= started_s + _LATEST_S:
            failures.append(f"{due[0].check}: no time was left to look into other network namespaces")
        elif due:
            answers, sample = self._run(due, seen, snapshot, settings)
            better = {
                finding: culprits
                for finding, culprits in answers
                if not culprits[1] or _percent(culprits[1]) >= unexplained[finding]
            }
            self._kept.keep(better.items(), started_s)
            if sample.failure:
                self._kept.fail(due, sample.failure, started_s)
                failures.append(sample.failure)
            if sample.traffic:
                owners = {**attribution.owners, **sample.owners}
                attribution = replace(attribution, traffic=sample.traffic, owners=owners)
        failures = list(dict.fromkeys(each for each in failures if each))
        named, evidence = self._kept.applied(list(unexplained), started_s)
        clauses = {(each.check, each.subject): each for each in named if each.culprit}
        if not clauses and len(failures) == bool(attribution.failure):
            return found
        return (
            tuple(clauses.get((each.check, each.subject), each) for each in known),
            replace(attribution, evidence=_with(attribution.evidence, evidence), failure="; ".join(failures)),
        )

    def _run(
        self, due: Sequence[Finding], seen: Sequence[Namespace], snapshot: Snapshot, settings: Settings
    ) -> _Found:
        outcome = self._isolated.run(lambda: Answer(self._look_up(due, seen, snapshot, settings), "kernel"))
        if outcome.value is not None:
            return outcome.value
        reason = outcome.failure.reason if outcome.failure else ""
        return [], Attribution(failure=f"{due[0].check}, other network namespaces: {reason}")

    def _look_up(
        self, due: Sequence[Finding], seen: Sequence[Namespace], snapshot: Snapshot, settings: Settings
    ) -> _Found:
        """The culprits of the findings, `_NO_ANSWER` where they are not in other namespaces."""
        started_s = time.monotonic()
        before = linux.read_carried()[0]
        time.sleep(_CHOICE_S)
        carried = carried_since(before, linux.read_carried()[0])
        entered = chosen(due, seen, linux.read_links(), carried)
        if not entered:
            return [(each, _NO_ANSWER) for each in due], Attribution()
        window, others, failures = sample_together(
            entered, SAMPLE_S, started_s + _READ_S, with_calls=settings.bpf
        )
        # That calls cannot be counted is a failure of the host's lookup, not of this one.
        window = replace(window, calls_failure="")
        reason = "; ".join(dict.fromkeys(f"{due[0].check}: {each}" for each in failures))
        if not others:
            return [], Attribution(failure=reason)
        search_s = started_s + _SEARCH_S - time.monotonic()
        lookup = Lookup(
            self._finder, self._losses, snapshot, settings, window, search_s=search_s, others=others
        )
        answers, known = lookup.attribute(due)
        reasons = [each for each in (reason, known.failure) if each]
        lasting = [
            (finding, culprits if _has_namespace(culprits[1]) else _NO_ANSWER)
            for finding, culprits in answers
            if 2 * culprits[1]["bytes"] * 8 / 1e6 >= finding.value * window.seconds
        ]
        return lasting, replace(known, failure="; ".join(reasons))


def _explained(finding: Finding, evidence: Mapping[str, Any]) -> float:
    """How much of a rate is explained by the host's own sockets and packets, in percent."""
    found = (each for each in evidence.get(finding.check, ()) if each["iface"] == finding.subject)
    return max(map(_percent, found), default=0.0)


def _percent(evidence: Mapping[str, Any]) -> float:
    return float(evidence["coverage_percent"] + evidence.get("not_tcp", {}).get("percent", 0.0))


def _has_namespace(evidence: Mapping[str, Any]) -> bool:
    """Whether another namespace has a part of the bytes that is worth a name."""
    parts = [*evidence["processes"], evidence.get("not_tcp", {})]
    return any(each.get("namespace") and each["percent"] >= MIN_PERCENT for each in parts)


def _with(host: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The evidence of the host, with that of other namespaces instead of what it has about the same."""

    def entries(check: str) -> Iterator[Mapping[str, Any]]:
        found = [each for each in evidence[check] if "iface" in each]
        interfaces = {each["iface"] for each in found}
        yield from (each for each in host.get(check, ()) if each["iface"] not in interfaces)
        yield from found

    both = {**host, **{check: list(entries(check)) for check in evidence}}
    return {check: each for check, each in both.items() if each}
