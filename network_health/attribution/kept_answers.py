"""Keeps the culprits of active alerts, and decides when they are looked up again. Pure.

Guarantees:
- A finding is looked up when it is new, when it is about another route or remote address, when its value has
  changed by a fifth since the last lookup, and after the refresh time. This time doubles up to
  `MAX_REFRESH_S` as long as the value stays.
- A finding whose lookup costs little in this check is looked up in any case.
- A failed lookup is repeated in the next check; if it is costly (`KeptAnswers.fail`), when the value has
  changed by a fifth, or the refresh time has passed.
- A finding is looked up if a process that its clause names has ended: at once after its first lookup, later
  when the refresh time has passed. Until then the clause has `` (ended)`` in place of the pid, which another
  process may have.
- It is looked up if such a process has closed half of its descriptors since the lookup.
- Only answers to the findings of the last check are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from network_health.attribution.evidence import Culprits
from network_health.model import Finding

MAX_REFRESH_S = 3600
_CHANGE = 0.2
#: Their culprits are counts of one check, and cost little.
_NOT_KEPT = frozenset({"packet_errors", "softnet_dropped", "softnet_squeezed"})

_Key = tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    """``value`` is that of the finding at the lookup, ``repeats`` the lookups since it has changed.

    Of the processes that the clause names, ``started`` has the start times by pid, and ``descriptors`` the
    numbers of open descriptors.
    """

    culprits: Culprits
    value: float
    at_s: float
    repeats: int = 0
    started: Mapping[int, float | None] = field(default_factory=dict)
    descriptors: Mapping[int, int | None] = field(default_factory=dict)


class _Failed(NamedTuple):
    """Why a lookup failed; ``value`` is that of the finding."""

    reason: str
    value: float
    at_s: float


class KeptAnswers:
    """The culprits by finding; times are those of a monotonic clock.

    ``start_time_of`` a pid is ``None`` if the process has ended. ``descriptors_of`` a pid is how many it has
    open; ``None`` if that is unknown.
    """

    def __init__(
        self,
        start_time_of: Callable[[int], float | None] = lambda _: 0.0,
        descriptors_of: Callable[[int], int | None] = lambda _: None,
    ) -> None:
        self._start_time_of, self._descriptors_of = start_time_of, descriptors_of
        self._kept: dict[_Key, _Kept] = {}
        self._failed: dict[_Key, _Failed] = {}

    def due(
        self, findings: Sequence[Finding], refresh_s: int, now_s: float, cheap: Collection[str] = ()
    ) -> tuple[Finding, ...]:
        """The findings to look up in this check; forgets those that are not in ``findings``.

        The lookups of the checks ``cheap`` cost little this time.
        """
        keys = {_key(finding) for finding in findings if finding.check not in _NOT_KEPT}
        self._kept = {key: kept for key, kept in self._kept.items() if key in keys}
        due = tuple(
            each
            for each in findings
            if each.breached and (each.check in cheap or self._is_due(each, refresh_s, now_s))
        )
        keys -= {_key(finding) for finding in due}
        self._failed = {key: failed for key, failed in self._failed.items() if key in keys}
        return due

    def keep(
        self, answers: Iterable[tuple[Finding, Culprits]], now_s: float, cheap: Collection[str] = ()
    ) -> None:
        """Keep what was looked up in this check; ``cheap`` as in `due`."""
        for finding, culprits in answers:
            before = self._kept.get(_key(finding))
            is_repeat = before and finding.check not in cheap and not _has_changed(before, finding)
            repeats = before.repeats + 1 if before and is_repeat else 0
            pids = {pid for pid in _pids(culprits[1]) if f"[{pid}]" in culprits[0]}
            started = {pid: self._start_time_of(pid) for pid in pids}
            descriptors = {pid: self._descriptors_of(pid) for pid in pids}
            self._kept[_key(finding)] = _Kept(culprits, finding.value, now_s, repeats, started, descriptors)

    def fail(self, findings: Iterable[Finding], reason: str, now_s: float) -> None:
        """Keep that the lookup of findings failed, maybe in part, and why. An answer is still reported."""
        self._failed |= {_key(each): _Failed(reason, each.value, now_s) for each in findings}

    def failures(self) -> Collection[str]:
        """Why the lookups of findings failed that are not due."""
        return dict.fromkeys(each.reason for each in self._failed.values())

    def applied(
        self, findings: Sequence[Finding], now_s: float
    ) -> tuple[tuple[Finding, ...], dict[str, object]]:
        """The findings with their clauses, and the evidence by check, with the age of each answer."""
        host: dict[str, object] = {}
        others: dict[str, list[object]] = {}
        with_clauses = []
        for finding in findings:
            kept = self._kept.get(_key(finding)) if finding.breached else None
            if kept is None:
                with_clauses.append(finding)
                continue
            clause, evidence = kept.culprits
            for pid in self._ended(kept):
                clause = clause.replace(f"[{pid}]", " (ended)")
            with_clauses.append(replace(finding, culprit=clause))
            if finding.check not in _NOT_KEPT:
                evidence = {**evidence, "age_s": round(now_s - kept.at_s, 1)}
            if finding.subject == "host":
                host[finding.check] = evidence
            else:
                others.setdefault(finding.check, []).append(evidence)
        return tuple(with_clauses), {**host, **others}

    def _is_due(self, finding: Finding, refresh_s: int, now_s: float) -> bool:
        failed, kept = self._failed.get(_key(finding)), self._kept.get(_key(finding))
        is_last = failed and (kept is None or kept.at_s < failed.at_s)
        if failed and is_last and now_s - failed.at_s < refresh_s and not _has_changed(failed, finding):
            return False
        if kept is None or _has_changed(kept, finding) or self._has_closed_half(kept):
            return True
        wait_s = min(refresh_s << kept.repeats, max(refresh_s, MAX_REFRESH_S))
        if self._ended(kept):
            wait_s = refresh_s if kept.repeats else 0
        return now_s - kept.at_s >= wait_s

    def _has_closed_half(self, kept: _Kept) -> bool:
        """Whether a process of the clause has at most half of its descriptors left."""
        counts = [(before, self._descriptors_of(pid)) for pid, before in kept.descriptors.items()]
        return any(before and now is not None and 2 * now <= before for before, now in counts)

    def _ended(self, kept: _Kept) -> list[int]:
        """The pids in the clause whose process has ended."""
        return [pid for pid, at in kept.started.items() if at is None or self._start_time_of(pid) != at]


def _pids(evidence: object) -> Iterator[int]:
    """The pids in the evidence. Those in a clause could be a part of a name, which its process chooses."""
    if isinstance(evidence, Mapping):
        if isinstance(pid := evidence.get("pid"), int):
            yield pid
        evidence = list(evidence.values())
    if isinstance(evidence, list):
        for each in evidence:
            yield from _pids(each)


def _key(finding: Finding) -> _Key:
    # The sentence up to its value: it names the route or the remote address that the answer is about.
    about = finding.text.rpartition(f" {finding.value}")[0]
    return finding.check, finding.subject, finding.aspect, about


def _has_changed(kept: _Kept | _Failed, finding: Finding) -> bool:
    return abs(finding.value - kept.value) >= _CHANGE * abs(kept.value)
