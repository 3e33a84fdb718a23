"""Builds evidence and the clause of a finding: shares, addresses, owners. Pure.

Guarantees: a clause reads `` (…)`` and has no semicolon, which separates findings.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from network_health.model import MAX_HOLDERS, Holders, Owner

#: A clause names nothing with a smaller share.
MIN_PERCENT = 10
#: Follows an owner that has only a part of what is named.
OTHERS = " and others"

K = TypeVar("K", bound=Hashable)
#: The clause, and the evidence.
Culprits = tuple[str, dict[str, Any]]
#: Reads the first process, and those that share its sockets; called only for those that are reported.
OwnerOf = Callable[[Holders], Owner]


def clause(parts: Sequence[str], note: str = "") -> str:
    """The parts, followed by the note; empty without both."""
    phrases = [*parts, note] if note else parts
    return f" ({', '.join(phrases)})".replace(";", ",") if phrases else ""


def largest(counts: Mapping[K, int], count: int) -> list[tuple[K, int]]:
    """The largest counts; equal ones are ordered by key, so that reports are reproducible."""

    def order(item: tuple[Any, int]) -> tuple[int, bool, Any]:
        return -item[1], item[0] is not None, item[0]

    return sorted(counts.items(), key=order)[:count]


def percent_of(part: int, total: float) -> float:
    """A share, one decimal."""
    return round(100 * part / total, 1) if total else 0.0


def whole(seen: int, counted: float) -> float:
    """The total of a share: what a protocol ``counted``, if clearly less than that was ``seen`` on sockets.

    Both are read a moment apart, so a small difference says nothing.
    """
    return counted if 10 * seen < 9 * counted else seen


def ranked(
    counts: Mapping[K, int],
    fields: Callable[[K], dict[str, Any]],
    more: Callable[[K], dict[str, Any]] = lambda _: {},
    *,
    count: int,
    total: float,
) -> list[dict[str, Any]]:
    """One entry for each of the largest counts: its ``fields``, the count, its share, and ``more`` fields."""
    return [
        fields(key) | {"count": n, "percent": percent_of(n, total)} | more(key)
        for key, n in largest(counts, count)
    ]


def address_text(address: bytes) -> str:
    """A packed address as text."""
    return str(ipaddress.ip_address(address))


def source_of(address: bytes) -> bytes:
    """The source that an address counts for: itself, or the first 8 bytes of an IPv6 address, its /64."""
    return address if len(address) == 4 else address[:8]


def source_text(source: bytes) -> str:
    """A source as text."""
    return address_text(source) if len(source) == 4 else str(ipaddress.ip_network((source + bytes(8), 64)))


def is_loopback(address: bytes) -> bool:
    """Whether a packed address never leaves the host."""
    return address[:1] == b"\x7f" if len(address) == 4 else address == bytes(15) + b"\x01"


def endpoint_text(entry: Mapping[str, Any]) -> str:
    """``10.0.0.9:873``, ``[fd00::1]:873``, or the address alone if there is no port."""
    address, port = entry.get("address", ""), entry.get("port")
    if not port:
        return str(address)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def owner_fields(owner: Owner) -> dict[str, Any]:
    """A process; without the container, the unit and the namespace that it does not have."""
    fields = {"pid": owner.pid, "name": owner.name, "user": owner.user}
    places = {"container": owner.container, "unit": owner.unit, "namespace": owner.namespace}
    shared = {"shared_with": [owner_fields(each) for each in owner.shared_with]} if owner.shared_with else {}
    return fields | {key: place for key, place in places.items() if place} | shared


def owner_text(entry: Mapping[str, Any]) -> str:
    """``nginx[1234]``, ``nginx[1234] in container web``, ``nginx[1234] or sh[5]``, ``app[1] or 3 others``."""
    name, pid = entry.get("name") or "a process that has ended", entry.get("pid")
    text, others = f"{name}[{pid}]" if pid else name, entry.get("shared_with", ())
    text += _place_text(entry) if entry.get("namespace") else ""
    if len(others) == 1:
        return f"{text} or {owner_text(others[0])}"
    at_least = "at least " if len(others) == MAX_HOLDERS - 1 else ""
    return f"{text} or {at_least}{len(others)} others" if others else text


def _place_text(entry: Mapping[str, Any]) -> str:
    """`` in container web``; a process may also use the network of a container that it is not in."""
    label = entry["namespace"]
    kind = label.partition(" ")[0]
    # After the name may follow what distinguishes it from others.
    is_inside = kind not in ("container", "unit") or f"{label} ".startswith(f"{kind} {entry.get(kind)} ")
    return f" in {label}" if is_inside else f" in the network of {label}"


def owned_by(entry: Mapping[str, Any]) -> str:
    """`` owned by nginx[1234]``, `` owned by nginx[1234] and others``; empty if the owner is unknown."""
    others = OTHERS if "owner_percent" in entry else ""
    return f" owned by {owner_text(entry)}{others}" if entry.get("pid") else ""


def and_others(entry: Mapping[str, Any]) -> str:
    """`` and 2 others``: how many more processes have sockets of this port; empty if none has."""
    more = entry.get("more_owners", 0)
    return f" and {more} other{'s' if more > 1 else ''}" if more else ""
