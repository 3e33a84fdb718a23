"""Finds the UDP sockets that lose datagrams. Pure.

Guarantees: sockets that share a port are one port. Shares are of all lost datagrams, including those of
sockets that are closed by now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from network_health.attribution import evidence
from network_health.attribution.evidence import Culprits, OwnerOf
from network_health.model import Holders, UdpSocket


def of_receivers(
    sockets: Iterable[UdpSocket],
    new: Counter[int],
    pids: Mapping[int, Holders],
    owner_of: OwnerOf,
    count: int,
    lost: float = 0,
) -> Culprits:
    """The ports whose sockets lost most datagrams; ``new`` is by cookie, ``pids`` are by inode.

    ``lost`` is the number of lost datagrams as the protocol counters have it.
    """
    by_port: Counter[int] = Counter()
    owners: dict[int, Counter[Holders | None]] = {}
    for each in sockets:
        if new[each.cookie]:
            by_port[each.local_port] += new[each.cookie]
            owners.setdefault(each.local_port, Counter())[pids.get(each.inode)] += new[each.cookie]

    def owner(port: int) -> dict[str, Any]:
        known = Counter({holders: n for holders, n in owners[port].items() if holders is not None})
        fields: dict[str, Any] = {}
        for holders, _ in evidence.largest(known, 1):
            fields = evidence.owner_fields(owner_of(holders))
        return fields | ({"more_owners": len(known) - 1} if len(known) > 1 else {})

    entries = evidence.ranked(
        by_port, lambda port: {"port": port}, owner, count=count, total=evidence.whole(by_port.total(), lost)
    )
    named = [e for e in entries[:1] if e["percent"] >= evidence.MIN_PERCENT]
    parts = [
        f"{e['percent']:.0f}% on :{e['port']}{evidence.owned_by(e)}{evidence.and_others(e)}" for e in named
    ]
    return evidence.clause(parts), {"sockets": entries}


def of_senders(
    sockets: Iterable[UdpSocket], pids: Mapping[int, Holders], owner_of: OwnerOf, count: int
) -> Culprits:
    """The sockets with the fullest send buffers: the kernel counts by socket only what a receiver lost."""
    full = [each for each in sockets if 2 * each.queued >= each.send_limit > 0]
    full.sort(key=lambda each: (-each.queued / each.send_limit, each.local_port, each.cookie))
    entries: list[dict[str, Any]] = []
    for each in full[:count]:
        holders = pids.get(each.inode)
        fields: dict[str, Any] = {"port": each.local_port, "queued": each.queued, "limit": each.send_limit}
        if each.remote_port:
            fields |= {"remote": evidence.address_text(each.remote), "remote_port": each.remote_port}
        entries.append(fields | (evidence.owner_fields(owner_of(holders)) if holders is not None else {}))
    parts = []
    for first in entries[:1]:
        to = {"address": first.get("remote", ""), "port": first.get("remote_port")}
        place = f"to {evidence.endpoint_text(to)}" if first.get("remote") else f"on :{first['port']}"
        parts = [
            f"{place}{evidence.owned_by(first)}",
            f"{first['queued']} of {first['limit']} bytes wait to be sent",
        ]
    return evidence.clause(parts), {"sockets": entries}
