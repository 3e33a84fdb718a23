"""Writes the sentences about active and resolved alerts. Pure.

Guarantees: more than `MAX_NAMED` links of one kind that are in the same state share one sentence, which names
the first `MAX_NAMED` of them. Every other alert has its own sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from network_health.alerting.verdict import ResolvedAlert, duration_text
from network_health.model import Finding

MAX_NAMED = 3
#: The end of a sentence about an alert that could not be evaluated in this check.
LAST_KNOWN = " (last known)"


def finding_sentences(
    findings: Sequence[tuple[str, Finding]], *, with_culprits: bool = True
) -> Iterator[str]:
    """The sentences of findings, each with a word in front of it: ``WARNING: veth1 is down``."""
    links: dict[tuple[str, str], list[str]] = {}
    for first_word, finding in findings:
        if finding.group:
            links.setdefault((first_word, _state(finding)), []).append(finding.subject)
    written = set()
    for first_word, finding in findings:
        key = first_word, _state(finding)
        names = links.get(key, [])
        if len(names) <= MAX_NAMED:
            yield first_word + (finding.sentence if with_culprits else finding.text)
        elif key not in written:
            written.add(key)
            last_known = LAST_KNOWN if finding.text.endswith(LAST_KNOWN) else ""
            more = len(names) - MAX_NAMED
            yield (
                f"{first_word}{len(names)} {_state(finding)}: {', '.join(names[:MAX_NAMED])} ({more} more)"
                f"{last_known}"
            )


def resolved_sentences(resolved: Sequence[ResolvedAlert]) -> Iterator[str]:
    """``Recovered: …`` for reason ``normal``, ``Ended: …`` for the others."""
    for word, recovered in (("Recovered", True), ("Ended", False)):
        alerts = [r for r in resolved if (r.reason == "normal") is recovered and r.in_details]
        if alerts:
            yield f"{word}: {', '.join(_resolved_texts(alerts))}"


def _state(finding: Finding) -> str:
    """``veth links are down``."""
    return f"{finding.group} {'are' if finding.breached else 'were'} {finding.aspect}"


def _resolved_texts(alerts: Sequence[ResolvedAlert]) -> Iterator[str]:
    links: dict[tuple[str, str], list[ResolvedAlert]] = {}
    for resolved in alerts:
        if resolved.alert.finding.group:
            links.setdefault((resolved.alert.finding.group, resolved.reason), []).append(resolved)
    for resolved in alerts:
        together = links.get((resolved.alert.finding.group, resolved.reason), [])
        if len(together) <= MAX_NAMED:
            yield resolved.text
        elif resolved is together[0]:
            yield _shared_text(together)


def _shared_text(together: Sequence[ResolvedAlert]) -> str:
    """``60 veth links (veth1, veth2, veth3, 57 more) after 2 min to 3 min``, and the reason."""
    names = ", ".join(resolved.alert.finding.subject for resolved in together[:MAX_NAMED])
    durations = sorted(resolved.lasted_s for resolved in together)
    shortest, longest = duration_text(durations[0]), duration_text(durations[-1])
    lasted = shortest if shortest == longest else f"{shortest} to {longest}"
    first = together[0]
    why = {"normal": "", "gone": " (they are gone)", "settings": " (settings changed)"}[first.reason]
    more = len(together) - MAX_NAMED
    return f"{len(together)} {first.alert.finding.group} ({names}, {more} more) after {lasted}{why}"
