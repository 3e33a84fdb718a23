"""Finds the culprits of a high rate: processes and the remote side of their connections. Pure.

Guarantees: shares are of all bytes of the interface, including those whose process is unknown.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from network_health.attribution import evidence
from network_health.attribution.evidence import Culprits, OwnerOf
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.model import Interface


def on_interface(
    interface: Interface, traffic: Iterable[OwnedTraffic], interfaces: Iterable[Interface]
) -> list[OwnedTraffic]:
    """The traffic that ``interface`` carried, by the local address of the sockets.

    An interface without an address may be a part of any other, as the port of a bridge is. All traffic that
    left the host counts for it.
    """
    name_of = {
        ipaddress.ip_address(text.partition("%")[0]).packed: each.link.name
        for each in interfaces
        for text in (*each.link.ipv4, *each.link.ipv6)
    }
    link = interface.link
    found = []
    for each, pid in traffic:
        local, remote = each.socket.local, each.socket.remote
        if remote in name_of or ipaddress.ip_address(remote).is_loopback:
            is_carried = link.name == "lo"
        else:
            is_carried = name_of.get(local) == link.name or not (link.ipv4 or link.ipv6)
        if is_carried:
            found.append((each, pid))
    return found


def of_rate(
    interface: Interface,
    direction: str,
    traffic: Sequence[OwnedTraffic],
    carried: int,
    owner_of: OwnerOf,
    listening_ports: Collection[int],
    count: int,
    note: str = "",
) -> Culprits:
    """The processes with most bytes on an interface, and their peers; at most ``count`` of each.

    ``direction`` is ``outbound`` or ``inbound``; ``carried`` are all bytes of the interface in it.
    """
    peers: dict[int | None, Counter[tuple[bytes, int]]] = {}
    for each, pid in traffic:
        octets = each.sent if direction == "outbound" else each.received
        if octets:
            socket = each.socket
            port = 0 if socket.local_port in listening_ports else socket.remote_port
            peers.setdefault(pid, Counter())[socket.remote, port] += octets
    bytes_of = Counter({pid: of_peer.total() for pid, of_peer in peers.items()})
    total = max(carried, bytes_of.total())
    preposition = "to" if direction == "outbound" else "from"
    entries: list[dict[str, Any]] = []
    parts: list[str] = []
    for pid, octets in evidence.largest(bytes_of, count + 1):
        owner = {} if pid is None else evidence.owner_fields(owner_of(pid))
        listed: list[dict[str, Any]] = [
            {"address": evidence.address_text(address), "port": port or None, "bytes": n}
            for (address, port), n in evidence.largest(peers[pid], count)
        ]
        entries.append(
            owner | {"bytes": octets, "percent": evidence.percent_of(octets, total), "peers": listed}
        )
        if 100 * octets >= evidence.MIN_PERCENT * total and len(parts) < 2:
            by = f" by {evidence.owner_text(owner)}" if owner else ""
            main = 2 * listed[0]["bytes"] >= octets
            peer = evidence.endpoint_text(listed[0]) if main else f"{len(peers[pid])} peers"
            parts.append(f"{100 * octets / total:.0f}%{by} {preposition} {peer}")
    result: dict[str, Any] = {
        "iface": interface.link.name,
        "direction": direction,
        "bytes": total,
        "processes": entries,
        "coverage_percent": evidence.percent_of(bytes_of.total() - bytes_of[None], total),
    }
    return evidence.clause(parts, note), result | ({"note": note} if note else {})
