"""Finds the culprits of a high rate: processes and the remote side of their connections. Pure.

Guarantees: shares are of all bytes of the interface, including those whose process is unknown. A process has
only bytes that must have crossed the interface.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from network_health.attribution import evidence
from network_health.attribution.evidence import Culprits, OwnerOf
from network_health.attribution.interface_paths import DIRECTIONS, Crossing
from network_health.attribution.ownership import merged
from network_health.attribution.protocol_split import Part
from network_health.model import ANOTHER_PROCESS, Holders, Interface

#: The first process that has a socket open, empty if it has ended, ``None`` if it is unknown.
_First = Holders | None
_Peer = tuple[bytes, int]
#: Bytes are read at slightly different moments.
_TOLERANCE = 1.05


@dataclass(slots=True)
class _Bytes:
    """The bytes that crossed an interface, by process; those of each peer; and the number of peers.

    Those of the processes ``mirrored`` are at the other end of the interface.
    """

    of_process: Counter[_First] = field(default_factory=Counter)
    mirrored: set[_First] = field(default_factory=set)
    of_peer: dict[_First, Counter[_Peer]] = field(default_factory=dict)
    peers: dict[_First, set[_Peer]] = field(default_factory=dict)
    holders: Counter[Holders] = field(default_factory=Counter)


def of_rate(
    interface: Interface,
    direction: str,
    crossings: Sequence[Crossing],
    carried: int,
    owner_of: OwnerOf,
    listening_ports: Collection[int],
    count: int,
    note: str = "",
    not_tcp: Part | None = None,
) -> Culprits:
    """The processes with most bytes on an interface, and their peers; at most ``count`` of each.

    ``direction`` is ``outbound`` or ``inbound``; ``carried`` are all bytes of the interface in it.
    ``not_tcp`` is what is known about the bytes that are not TCP; the clause has it unless processes
    that are named have them.
    """
    crossed = _crossed(crossings, direction, listening_ports)
    shared = {holders[:1]: holders for holders in merged(crossed.holders)}
    total = max(carried, crossed.of_process.total())
    prepositions = ("to", "from") if direction == "outbound" else ("from", "to")
    entries: list[dict[str, Any]] = []
    parts: list[str] = []
    for first, octets in evidence.largest(crossed.of_process, count + 1):
        owner = {} if first is None else evidence.owner_fields(owner_of(shared.get(first, first)))
        listed: list[dict[str, Any]] = [
            {"address": evidence.address_text(address), "port": port or None, "bytes": n}
            for (address, port), n in evidence.largest(crossed.of_peer[first], count)
            if address
        ]
        entries.append(
            owner | {"bytes": octets, "percent": evidence.percent_of(octets, total), "peers": listed}
        )
        if 100 * octets >= evidence.MIN_PERCENT * total and len(parts) < 2:
            by = f" by {evidence.owner_text(owner)}" if owner else ""
            preposition = prepositions[first in crossed.mirrored]
            peer = _peer_text(preposition, listed, octets, crossed.peers[first])
            parts.append(f"{100 * octets / total:.0f}%{by}{peer}")
    unknown = crossed.of_process[None] + crossed.of_process[()]  # () are processes that have ended
    unknown += sum(n for holders, n in crossed.holders.items() if ANOTHER_PROCESS in holders)
    result: dict[str, Any] = {
        "iface": interface.link.name,
        "direction": direction,
        "bytes": total,
        "processes": entries,
        "coverage_percent": evidence.percent_of(max(crossed.of_process.total() - unknown, 0), total),
    }
    if not_tcp:
        result["not_tcp"] = not_tcp.evidence
        is_explained = crossed.of_process.total() + not_tcp.evidence["bytes"] > _TOLERANCE * total
        parts += [not_tcp.text] if not_tcp.text and not (parts and is_explained) else []
    return evidence.clause(parts, note), result | ({"note": note} if note else {})


def _peer_text(
    preposition: str, listed: Sequence[Mapping[str, Any]], octets: int, peers: Collection[_Peer]
) -> str:
    """`` to 10.0.0.9:873``, `` to 5 peers``; empty if the peers of a socket are not known."""
    if listed and 2 * listed[0]["bytes"] >= octets:
        return f" {preposition} {evidence.endpoint_text(listed[0])}"
    return "" if any(not address for address, _ in peers) else f" {preposition} {len(peers)} peers"


def _crossed(crossings: Sequence[Crossing], direction: str, listening_ports: Collection[int]) -> _Bytes:
    """The bytes of each process that must have crossed: all but those that may have gone elsewhere."""
    found = _Bytes()
    for crossing in crossings:
        sums, holders = _by_process(crossing, direction, listening_ports)
        found.holders += holders
        for first, of_peer in sums.items():
            octets = of_peer.total() - crossing.elsewhere
            if octets > 0:
                found.of_process[first] += octets
                found.mirrored |= {first} if crossing.mirrored else set()
                found.peers.setdefault(first, set()).update(of_peer)
                listed = found.of_peer.setdefault(first, Counter())
                listed += Counter({peer: n - crossing.elsewhere for peer, n in of_peer.items()})
    return found


def _by_process(
    crossing: Crossing, direction: str, listening_ports: Collection[int]
) -> tuple[Mapping[_First, Counter[_Peer]], Counter[Holders]]:
    """The bytes of each process by peer, and by all processes that have a socket open."""
    sums: dict[_First, Counter[_Peer]] = {}
    by_holders: Counter[Holders] = Counter()
    for each, holders in crossing.traffic:
        octets = crossing.bytes_of(each, DIRECTIONS[direction])
        if octets:
            socket = each.socket
            port = 0 if socket.local_port in listening_ports else socket.remote_port
            first = None if holders is None else holders[:1]
            sums.setdefault(first, Counter())[socket.remote, port] += octets
            by_holders[holders or ()] += octets
    return sums, by_holders
