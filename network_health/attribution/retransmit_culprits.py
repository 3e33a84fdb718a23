"""Finds the peers and processes whose TCP segments are sent again. Pure.

Guarantees: only segments that were sent again in the window count; SYNs and SYN-ACKs are among them. Shares
are of all segments that the host sent again, including those of sockets that were not seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from network_health.attribution import evidence
from network_health.attribution.evidence import Culprits, OwnerOf
from network_health.model import Holders, SocketResent, SocketTraffic

#: With fewer segments sent again, a peer's share of them says nothing.
MIN_SEGMENTS = 10

#: The segments of one socket, and the processes that have it open.
OwnedResent = tuple[SocketResent, Holders | None]


class PeerLoss(NamedTuple):
    """A peer and the share of the bytes to it that were sent again, in percent."""

    address: bytes
    percent: float


class _Peer:
    """What was sent again to one address, or by half-open connections of one port."""

    def __init__(self) -> None:
        self.segments = self.octets = 0
        self.ports: Counter[int] = Counter()
        self.holders: Counter[Holders] = Counter()
        self.unanswered = 0


def worst_peer(resent: Iterable[SocketResent], traffic: Iterable[SocketTraffic]) -> PeerLoss | None:
    """The peer with the largest share of bytes sent again; ``None`` if no peer has enough segments."""
    sent = _sent_to(traffic)
    peers: dict[bytes, _Peer] = {}
    for each in resent:
        if each.socket.state != "SYN_RECV":
            peer = peers.setdefault(each.socket.remote, _Peer())
            peer.segments += each.segments
            peer.octets += each.octets
    shares = {
        address: _resent_percent(peer, sent[address])
        for address, peer in peers.items()
        if peer.segments >= MIN_SEGMENTS
    }
    known = [(share, address) for address, share in shares.items() if share is not None]
    return PeerLoss(max(known)[1], max(known)[0]) if known else None


def of_retransmits(
    resent: Sequence[OwnedResent],
    traffic: Iterable[SocketTraffic],
    listening_ports: Collection[int],
    owner_of: OwnerOf,
    count: int,
    counted: float = 0,
) -> Culprits:
    """The peers to which most segments were sent again, and the processes that sent them.

    ``counted`` is the number of segments as the protocol counters have it.
    """
    sent = _sent_to(traffic)
    total = evidence.whole(sum(each.segments for each, _ in resent), counted)
    peers: dict[tuple[bytes, int], _Peer] = {}
    processes: Counter[Holders] = Counter()
    for each, holders in resent:
        socket = each.socket
        is_half_open = socket.state == "SYN_RECV"
        peer = peers.setdefault((b"", socket.local_port) if is_half_open else (socket.remote, 0), _Peer())
        peer.segments += each.segments
        peer.octets += each.octets
        peer.ports[0 if socket.local_port in listening_ports else socket.remote_port] += each.segments
        peer.unanswered += each.segments if socket.state == "SYN_SENT" else 0
        if holders:
            peer.holders[holders] += each.segments
            processes[holders] += each.segments
    ordered = evidence.largest(Counter({key: peer.segments for key, peer in peers.items()}), count)
    entries = [_peer_entry(key, peers[key], total, sent[key[0]], owner_of) for key, _ in ordered]
    by_process = evidence.ranked(
        processes, lambda holders: evidence.owner_fields(owner_of(holders)), count=count, total=total
    )
    number = sum(1 for address, _ in peers if address)
    return evidence.clause(_parts(entries, by_process, number)), {"peers": entries, "processes": by_process}


def _sent_to(traffic: Iterable[SocketTraffic]) -> Counter[bytes]:
    """The acknowledged bytes by remote address."""
    sent: Counter[bytes] = Counter()
    for each in traffic:
        sent[each.socket.remote] += each.sent
    return sent


def _resent_percent(peer: _Peer, acknowledged: int) -> float | None:
    """The share of bytes sent again; ``None`` if no bytes were sent, as by SYNs."""
    octets = peer.octets + acknowledged
    return evidence.percent_of(peer.octets, octets) if octets else None


def _peer_entry(
    key: tuple[bytes, int], peer: _Peer, total: float, acknowledged: int, owner_of: OwnerOf
) -> dict[str, Any]:
    address, listening_port = key
    entry: dict[str, Any] = {"half_open_port": listening_port}
    if address:
        (port, most) = evidence.largest(peer.ports, 1)[0]
        named_port = port if port and 2 * most >= peer.segments else None
        entry = {"address": evidence.address_text(address), "port": named_port}
    entry |= {"count": peer.segments, "percent": evidence.percent_of(peer.segments, total)}
    if address:
        entry["resent_percent"] = _resent_percent(peer, acknowledged)
        entry["unanswered"] = peer.unanswered
    for holders, n in evidence.largest(peer.holders, 1):
        entry |= evidence.owner_fields(owner_of(holders))
        if n < (1 - evidence.MIN_PERCENT / 100) * peer.segments:
            entry["owner_percent"] = evidence.percent_of(n, peer.segments)
    return entry


def _parts(
    peers: Sequence[dict[str, Any]], processes: Sequence[dict[str, Any]], peer_count: int
) -> list[str]:
    """The peer with most segments, or the process, if its share is clearly larger than that of any peer."""
    first = peers[0] if peers else {"percent": 0.0}
    process = processes[0] if processes else {"percent": 0.0}
    if process["percent"] > 1.25 * first["percent"] and process["percent"] >= evidence.MIN_PERCENT:
        return [f"{process['percent']:.0f}% by {evidence.owner_text(process)} to {peer_count} peers"]
    if first["percent"] < evidence.MIN_PERCENT:
        return [f"to {peer_count} peers"] if peer_count > 1 else []
    share = f"{first['percent']:.0f}%"
    if "half_open_port" in first:
        return [f"{share} SYN-ACKs on :{first['half_open_port']}{evidence.owned_by(first)}"]
    owner = evidence.owned_by(first).replace(" owned by ", " by ", 1)
    parts = [f"{share} to {evidence.endpoint_text(first)}{owner}"]
    if 2 * first["unanswered"] >= first["count"]:
        parts.append("no answer")
    elif first["resent_percent"] is not None:
        parts.append(f"{first['resent_percent']:.0f}% of its bytes sent again")
    return parts
