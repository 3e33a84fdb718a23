"""Looks up rates again that TCP does not explain, with what the calls of processes moved in a second.

Guarantees: a rate is sampled when its culprit is due (`KeptAnswers`), not in every check in which the bytes
of TCP are read. An answer is never replaced by one that explains less.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace

from network_health.attribution.evidence import Culprits
from network_health.attribution.rate_lookups import RATES
from network_health.model import Attribution, Finding

#: TCP explains a rate if so much of it has a known process.
_EXPLAINED_PERCENT = 50

Answers = list[tuple[Finding, Culprits]]


class CallLookups:
    """Keeps which rates are answered by a sample."""

    def __init__(self) -> None:
        self._sampled: set[tuple[str, str]] = set()

    def improved(
        self,
        answers: Answers,
        known: Attribution,
        due: Collection[Finding],
        look_up: Callable[[Sequence[Finding]], tuple[Answers, Attribution]],
    ) -> tuple[Answers, Attribution]:
        """The answers, those of a sample where it explains as much or more, and what is known with them.

        Without the answers to findings whose answer by an earlier sample is not ``due``.
        """
        percent = {finding: _percent(culprits) for finding, culprits in answers if finding.check in RATES}
        unexplained = [each for each in percent if percent[each] < _EXPLAINED_PERCENT]
        kept = {each for each in unexplained if _key(each) in self._sampled and each not in due}
        again = [each for each in unexplained if each not in kept]
        self._sampled = {_key(each) for each in unexplained}
        answers = [each for each in answers if each[0] not in kept]
        if not again:
            return answers, known
        found, sample = look_up(again)
        better = {finding: each for finding, each in found if _percent(each) >= percent[finding]}
        answers = [(finding, better.get(finding, culprits)) for finding, culprits in answers]
        failures = dict.fromkeys(each.failure for each in (known, sample) if each.failure)
        return answers, replace(sample if better else known, failure="; ".join(failures))


def _key(finding: Finding) -> tuple[str, str]:
    return finding.check, finding.subject


def _percent(culprits: Culprits) -> float:
    return float(culprits[1]["coverage_percent"])
