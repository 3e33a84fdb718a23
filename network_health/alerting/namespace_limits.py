"""Compares the connections of other network namespaces with their limit. Pure.

Guarantees: at most `MAX_FINDINGS` findings, those with most connections.
"""

from __future__ import annotations

from collections.abc import Iterator

from network_health.alerting.verdict import ResolveReason
from network_health.model import Finding, Namespaces
from network_health.settings import Settings

MAX_FINDINGS = 20
CHECK = "namespace_connections"


def namespace_findings(namespaces: Namespaces | None, settings: Settings) -> Iterator[Finding]:
    """One finding for each namespace above the limit, the one with most connections first."""
    limit = settings.container_conn_threshold
    if namespaces is None or limit is None:
        return
    known = [(each.label, each.total) for each in namespaces.entries if each.total is not None]
    for label, total in known[:MAX_FINDINGS]:
        if total > limit:
            text = f"High connection count in {label}: {total} > {limit}"
            yield Finding(CHECK, label, text, total, limit)


def resolve_reason(label: str, namespaces: Namespaces | None, settings: Settings) -> ResolveReason | None:
    """Why there is no finding about a namespace any more; ``None`` if that is not known.

    That is also the case if others have more connections, and so have taken its place among the findings.
    """
    limit = settings.container_conn_threshold
    if limit is None or settings.namespaces == "off":
        return "settings"
    if namespaces is None:
        return None
    found = next((each for each in namespaces.entries if each.label == label), None)
    if found is None:
        return "gone" if namespaces.is_whole else None
    return None if found.total is None or found.total > limit else "normal"
