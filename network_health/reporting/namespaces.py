"""Converts the other network namespaces of a check to metrics. Pure.

Guarantees: only plain, JSON-safe types; at most `MAX_LISTED` namespaces.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from network_health.model import Namespace, Namespaces
from network_health.reporting.text import safe_text

MAX_LISTED = 100

_OBSTACLES = {
    "hidepid": (
        "hidepid hides the processes of other users, whose network namespaces are not counted: that needs "
        "CAP_SYS_PTRACE"
    ),
    "pid_namespace": (
        "the agent is in a pid namespace: network namespaces of processes outside of it are not counted"
    ),
}


def namespace_metrics(namespaces: Namespaces) -> dict[str, Any]:
    """``metrics.namespaces``, those with most connections first, and a note if any is missing."""
    metrics: dict[str, Any] = {}
    if namespaces.entries:
        metrics["namespaces"] = [_namespace(each) for each in namespaces.entries[:MAX_LISTED]]
    note = "; ".join(_notes(namespaces))
    return metrics | ({"namespaces_note": safe_text(note)} if note else {})


def _namespace(namespace: Namespace) -> dict[str, Any]:
    places = {"container": namespace.container, "pod": namespace.pod, "unit": namespace.unit}
    return {
        "name": safe_text(namespace.label),
        "inode": namespace.inode,
        "pid": namespace.pid,
        "process": namespace.process and safe_text(namespace.process),
        **{key: safe_text(place) for key, place in places.items() if place},
        "connections": namespace.total,
        "tcp": namespace.tcp,
        "udp": namespace.udp,
        "veths": [safe_text(name) for name in namespace.veths],
    }


def _notes(namespaces: Namespaces) -> Iterator[str]:
    """What is missing."""
    count = len(namespaces.entries)
    if namespaces.failure:
        yield f"other network namespaces cannot be read: {namespaces.failure}"
    elif not namespaces.is_whole:
        yield f"there are more than the {count} network namespaces that are counted"
    if count > MAX_LISTED:
        yield f"{MAX_LISTED} of {count} network namespaces are listed, those with most connections"
    if namespaces.hidden_processes:
        yield (
            f"the network namespaces of {namespaces.hidden_processes} processes cannot be read: that needs "
            "CAP_SYS_PTRACE"
        )
    if namespaces.obstacle:
        yield _OBSTACLES[namespaces.obstacle]
