"""What got lost, or is nearly used up -> of what kind, at whose socket, from where. Pure.

The guarantees of `connection_culprits` hold here too. A counter that went back began anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from network_health.attribution.connection_culprits import (
    LEAST_PERCENT,
    Culprits,
    Named,
    clause,
    most,
    owner_fields,
    owner_text,
    packed,
    percent_of,
    shared,
    shown,
    source_text,
)
from network_health.attribution.ownership import settled
from network_health.model import PortUse, Socket, SocketGroup


def new_since(before: Mapping[Any, int], after: Mapping[Any, int]) -> Counter[Any]:
    """What was counted in between."""
    new = Counter({key: n - before.get(key, 0) if n >= before.get(key, 0) else n for key, n in after.items()})
    return +new


def of_kinds(name: str, kinds: Counter[str]) -> Culprits:
    """The kinds of an interface's new errors and drops, as the kernel tells them apart."""
    ordered = most(kinds, len(kinds))
    told = [f"{kind} {n}" for kind, n in ordered] if len(ordered) > 1 else [kind for kind, _ in ordered]
    return clause(told), {"iface": name, "kinds": dict(ordered)}


def of_listeners(
    listeners: Sequence[Socket], refused: Counter[int], pids: Sequence[int | None], named: Named, count: int
) -> Culprits:
    """The listening sockets that refused most (``refused`` is by cookie), or else are fullest."""
    total = refused.total()
    candidates = [
        (refused[s.cookie], s.waiting / max(s.backlog, 1), s, pid)
        for s, pid in zip(listeners, pids, strict=True)
    ]
    candidates = [c for c in candidates if c[0] or c[1] > 0.5]
    candidates.sort(key=lambda c: (-c[0], -c[1], c[2].local_port))
    entries: list[dict[str, Any]] = [
        {"address": shown(s.local), "port": s.local_port, "waiting": s.waiting, "backlog": s.backlog}
        | {"refused": lost, "percent": percent_of(lost, total)}
        | (owner_fields(named(pid)) if pid is not None else {})
        for lost, _, s, pid in candidates[:count]
    ]
    parts = []
    for first in entries[:1]:
        owner = f" owned by {owner_text(first)}" if first.get("pid") else ""
        share = f"{first['percent']:.0f}% " if first["refused"] else ""
        parts = [f"{share}on :{first['port']}{owner}", f"{first['waiting']} waiting of {first['backlog']}"]
    return clause(parts), {"listeners": entries}


def of_route(use: PortUse, bundles: Sequence[SocketGroup], named: Named, count: int) -> Culprits:
    """Who has the ephemeral ports of one route; ``bundles`` may be of all sockets."""
    held: Counter[int] = Counter()
    states: Counter[str] = Counter()
    route = packed(use.local), packed(use.remote), use.remote_port
    for each in settled(bundles):
        if (each.local, each.remote, each.remote_port) == route:
            states[each.state] += each.sockets
            held.update(each.owners)
    total = states.total()
    entries = [owner_fields(named(pid)) | shared(n, total) for pid, n in most(held, count)]
    parts = [f"{e['percent']:.0f}% owned by {owner_text(e)}" for e in entries[:1]]
    parts += [f"{percent_of(n, total):.0f}% {s}" for s, n in most(states, 1) if s != "ESTABLISHED"]
    seen = {"local": use.local, "remote": use.remote, "remote_port": use.remote_port, "owners": entries}
    seen |= {"states": [{"state": state} | shared(n, total) for state, n in most(states, count)]}
    return clause(parts), seen


def of_conntrack(sources: Counter[bytes], count: int) -> Culprits:
    """Who opened most of the tracked connections; sources are packed addresses."""
    by_party: Counter[bytes] = Counter()
    for address, n in sources.items():
        by_party[address if len(address) == 4 else address[:8]] += n
    total = sources.total()
    entries = [{"address": source_text(key)} | shared(n, total) for key, n in most(by_party, count)]
    told = [e for e in entries[:1] if e["percent"] >= LEAST_PERCENT]
    return clause([f"{e['percent']:.0f}% from {e['address']}" for e in told]), {"sources": entries}
