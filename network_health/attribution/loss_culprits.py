"""Finds the culprits of lost packets and of tables that are nearly full. Pure.

Guarantees: shares are of all losses or entries, including those whose owner is unknown.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from network_health.attribution import evidence
from network_health.attribution.evidence import Culprits, OwnerOf
from network_health.attribution.ownership import merged, with_likely_owners
from network_health.model import Holders, PortUse, SocketGroup


def new_since(before: Mapping[Any, int], after: Mapping[Any, int]) -> Counter[Any]:
    """The increase of each counter; of a counter that went back it is unknown, and counts as 0."""
    return +Counter({key: n - before.get(key, 0) for key, n in after.items()})


def of_kinds(name: str, kinds: Counter[str]) -> Culprits:
    """The kinds of an interface's new errors and drops, as the kernel counts them."""
    ordered = evidence.largest(kinds, len(kinds))
    parts = [f"{kind} {n}" for kind, n in ordered] if len(ordered) > 1 else [kind for kind, _ in ordered]
    return evidence.clause(parts), {"iface": name, "kinds": dict(ordered)}


def of_cpus(new: Mapping[int, int], count: int) -> Culprits:
    """The CPUs that dropped most packets, or stopped receive processing most often."""
    entries = evidence.ranked(new, lambda cpu: {"cpu": cpu}, count=count, total=sum(new.values()))
    named = [e for e in entries[:1] if e["percent"] >= evidence.MIN_PERCENT]
    return evidence.clause([f"{e['percent']:.0f}% on CPU {e['cpu']}" for e in named]), {"cpus": entries}


def of_route(use: PortUse, groups: Sequence[SocketGroup], owner_of: OwnerOf, count: int) -> Culprits:
    """The owners of the ephemeral ports of one route, among the sockets of all routes."""
    owners: Counter[Holders] = Counter()
    states: Counter[str] = Counter()
    local, remote = (ipaddress.ip_address(text).packed for text in (use.local, use.remote))
    for each in with_likely_owners(groups):
        if (each.local, each.remote, each.remote_port) == (local, remote, use.remote_port):
            states[each.state] += each.sockets
            owners.update(each.owners)
    total = states.total()
    ranked = partial(evidence.ranked, count=count, total=total)
    entries = ranked(merged(owners), lambda pid: evidence.owner_fields(owner_of(pid)))
    parts = [f"{e['percent']:.0f}% owned by {evidence.owner_text(e)}" for e in entries[:1]]
    by_state = ranked(states, lambda state: {"state": state})
    parts += [f"{e['percent']:.0f}% {e['state']}" for e in by_state[:1] if e["state"] != "ESTABLISHED"]
    return evidence.clause(parts), {
        "local": use.local,
        "remote": use.remote,
        "remote_port": use.remote_port,
        "owners": entries,
        "states": by_state,
    }


def of_conntrack(addresses: Counter[bytes], count: int) -> Culprits:
    """The sources of most tracked connections, which are counted by packed address."""
    sources: Counter[bytes] = Counter()
    for address, n in addresses.items():
        sources[evidence.source_of(address)] += n
    entries = evidence.ranked(
        sources,
        lambda source: {"address": evidence.source_text(source)},
        count=count,
        total=addresses.total(),
    )
    named = [e for e in entries[:1] if e["percent"] >= evidence.MIN_PERCENT]
    return evidence.clause([f"{e['percent']:.0f}% from {e['address']}" for e in named]), {"sources": entries}
