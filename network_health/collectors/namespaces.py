"""Names the other network namespaces, and finds the veth interfaces that lead to them. Pure.

Guarantees: a label is of one namespace only. An interface belongs to a namespace if the kernel says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from network_health.model import Link, Namespace, Namespaces


def observe_namespaces(reading: Namespaces, links: Sequence[Link]) -> Namespaces:
    """The namespaces with labels and veth interfaces, those with most connections first."""
    veths: dict[int, list[str]] = {}
    for link in links:
        if link.peer_namespace is not None:
            veths.setdefault(link.peer_namespace, []).append(link.name)
    labels = [_label(each) for each in reading.entries]
    count = Counter(labels)
    entries = [
        each._replace(
            label=label if count[label] == 1 else f"{label} ({each.inode})",
            veths=() if each.kernel_id is None else tuple(veths.get(each.kernel_id, ())),
        )
        for each, label in zip(reading.entries, labels, strict=True)
    ]
    return replace(reading, entries=tuple(sorted(entries, key=lambda each: (-(each.total or 0), each.pid))))


def _label(namespace: Namespace) -> str:
    """What an operator knows it by: the pod, the container, its own name, the unit, or a process."""
    if namespace.pod:
        return f"pod {namespace.pod}"
    if namespace.container:
        return f"container {namespace.container}"
    if namespace.mounted:
        return f"namespace {namespace.mounted}"
    if namespace.unit:
        return f"unit {namespace.unit}"
    process = f"{namespace.process}[{namespace.pid}]" if namespace.process else f"pid {namespace.pid}"
    return f"namespace of {process}"
