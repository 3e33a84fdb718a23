"""Names the other network namespaces, and finds the veth interfaces that lead to them. Pure.

Guarantees: a label is of one namespace only, and has no semicolon, which separates findings. A namespace
keeps its label when another one appears that would have the same. A name that a user chose for a container or
a unit is followed by the uid. An interface belongs to a namespace if the kernel says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from network_health.model import Link, Namespace, Namespaces


def observe_namespaces(
    reading: Namespaces, links: Sequence[Link], before: Namespaces | None = None
) -> Namespaces:
    """The namespaces with labels and veth interfaces, those with most connections first."""
    veths: dict[int, list[str]] = {}
    for link in links:
        if link.peer_namespace is not None:
            veths.setdefault(link.peer_namespace, []).append(link.name)
    labels = _labels(reading.entries, {each.inode: each.label for each in before.entries} if before else {})
    entries = [
        # Not `_replace`, for speed: it takes twice the time, for each namespace in each check.
        Namespace(
            *each[:12],
            () if each.kernel_id is None else tuple(veths.get(each.kernel_id, ())),
            labels[each.inode],
        )
        for each in reading.entries
    ]
    return replace(reading, entries=tuple(sorted(entries, key=lambda each: (-(each.total or 0), each.pid))))


def _labels(namespaces: Sequence[Namespace], before: Mapping[int, str]) -> dict[int, str]:
    """The labels by inode. Of several new ones that would have the same, the lowest pid's has it alone.

    The others have the inode, too: a process in a container can make another namespace at any time.
    """
    labels: dict[int, str] = {}
    taken = set[str]()
    plain = {each.inode: _label(each) for each in namespaces}
    is_new = {inode: before.get(inode) not in (label, f"{label} ({inode})") for inode, label in plain.items()}
    for each in sorted(namespaces, key=lambda each: (is_new[each.inode], each.pid)):
        label = plain[each.inode] if is_new[each.inode] else before[each.inode]
        while label in taken:
            label = f"{label} ({each.inode})"
        taken.add(label)
        labels[each.inode] = label
    return labels


def _label(namespace: Namespace) -> str:
    """What an operator knows it by: the pod, the container, its own name, the unit, or a process."""
    chosen_by = "" if namespace.manager is None else f" of user {namespace.manager}"
    if namespace.pod:
        label = f"pod {namespace.pod}{chosen_by}"
    elif namespace.container:
        label = f"container {namespace.container}{chosen_by}"
    elif namespace.mounted:
        label = f"namespace {namespace.mounted}"
    elif namespace.unit:
        label = f"unit {namespace.unit}{chosen_by}"
    else:
        process = f"{namespace.process}[{namespace.pid}]" if namespace.process else f"pid {namespace.pid}"
        label = f"namespace of {process}"
    return label.replace(";", ",")
