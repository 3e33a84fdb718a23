"""Compares the connections of other network namespaces with their limit. Pure.

Guarantees: at most `MAX_FINDINGS` findings, those with most connections; one more says how many others are
above the limit: a user who makes many namespaces cannot hide that of a container.
"""

from __future__ import annotations

from collections.abc import Iterator

from network_health.alerting.verdict import ResolveReason
from network_health.model import Finding, Namespaces
from network_health.settings import Settings

MAX_FINDINGS = 20
CHECK = "namespace_connections"
#: The subject of the finding about all other namespaces; no label is like it.
_OTHERS = "other namespaces"


def namespace_findings(namespaces: Namespaces | None, settings: Settings) -> Iterator[Finding]:
    """One finding for each namespace above the limit, the one with most connections first."""
    limit = settings.container_conn_threshold
    if namespaces is None or limit is None:
        return
    totals = [(each.label, each.total) for each in namespaces.entries if each.total is not None]
    high = [(label, total) for label, total in totals if total > limit]
    for label, total in high[:MAX_FINDINGS]:
        text = f"High connection count in {label}: {total} > {limit}"
        yield Finding(CHECK, label, text, total, limit)
    if others := high[MAX_FINDINGS:]:
        text = f"High connection count in {len(others)} {_OTHERS}: up to {others[0][1]} > {limit}"
        yield Finding(CHECK, _OTHERS, text, others[0][1], limit)


def resolve_reason(label: str, namespaces: Namespaces | None, settings: Settings) -> ResolveReason | None:
    """Why there is no finding about a namespace any more; ``None`` if that is not known.

    That is also the case if others have more connections, and so have taken its place among the findings.
    """
    limit = settings.container_conn_threshold
    if limit is None or settings.namespaces == "off":
        return "settings"
    if namespaces is None:
        return None
    if label == _OTHERS:
        return "normal" if namespaces.is_whole else None
    found = next((each for each in namespaces.entries if each.label == label), None)
    if found is None:
        return "gone" if namespaces.is_whole else None
    return None if found.total is None or found.total > limit else "normal"
