"""Sockets, their owners and a finding -> who is behind it: evidence, and a clause for the sentence. Pure.

Laws: shares are of everything the finding counts, what is not seen included, so that a name is never
given more than it is known to have. What has less than `LEAST_PERCENT` is not named in a sentence.
A clause is `` (…)``, holds no semicolon, and is empty where there is nobody to name.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from network_health.attribution.ownership import settled
from network_health.model import Interface, Owner, SocketGroup, SocketTraffic

LEAST_PERCENT = 10
INVISIBLE = "owner not visible without root or CAP_SYS_PTRACE"
LATE = "not all owners found in time"

#: States in which many sockets at once say what is wrong.
_TELLING = frozenset(
    {"CLOSE_WAIT", "FIN_WAIT1", "FIN_WAIT2", "LAST_ACK", "SYN_RECV", "SYN_SENT", "TIME_WAIT"}
)

K = TypeVar("K", bound=Hashable)
#: The clause, and plain evidence.
Culprits = tuple[str, dict[str, Any]]
#: Who a pid is; asked only for those that are named.
Named = Callable[[int], Owner]


def shown(address: bytes) -> str:
    """An address as text."""
    return str(ipaddress.ip_address(address))


def packed(text: str) -> bytes:
    """Its bytes, 4 or 16."""
    return ipaddress.ip_address(text).packed


def of_connections(bundles: Sequence[SocketGroup], named: Named, count: int, note: str = "") -> Culprits:
    """Who has the most sockets: by local port, by remote, by process; ``count`` of each at most.

    A connection that was accepted counts for its port and its source, one that was opened for its endpoint.
    """
    everyone = settled(bundles)
    tally = _Tally(everyone)
    total = tally.states.total()

    def owner(pid: int | None) -> dict[str, Any]:
        return {} if pid is None else owner_fields(named(pid))

    evidence: dict[str, Any] = {
        "total": total,
        "ports": [
            {"port": port, "protocol": protocol}
            | shared(n, total)
            | owner(_owner_of_port([b for b in everyone if (b.protocol, b.local_port) == (protocol, port)]))
            for (protocol, port), n in most(tally.ports, count)
        ],
        "remotes": [
            {"address": source_text(key)} | shared(n, total) for key, n in most(tally.sources, count)
        ],
        "endpoints": [
            {"address": shown(remote), "port": port}
            | shared(n, total)
            | owner(_holder([b for b in everyone if (b.remote, b.remote_port) == (remote, port)]))
            for (remote, port), n in most(tally.endpoints, count)
        ],
        "states": [{"state": key} | shared(n, total) for key, n in most(tally.states, count)],
        "owners": [
            owner(pid) | shared(n, total) | {"state": _state(everyone, pid)}
            for pid, n in most(tally.owners, count)
        ],
        "coverage_percent": percent_of(tally.owners.total(), total),
    }
    if note:
        evidence["note"] = note
    return _connections_clause(evidence, note), evidence


class _Tally:
    """Sockets counted by everything that can tell who is behind them."""

    def __init__(self, bundles: Iterable[SocketGroup]) -> None:
        self.ports: Counter[tuple[str, int]] = Counter()
        self.sources: Counter[bytes] = Counter()
        self.endpoints: Counter[tuple[bytes, int]] = Counter()
        self.states: Counter[str] = Counter()
        self.owners: Counter[int] = Counter()
        for each in bundles:
            self.states[each.state] += each.sockets
            self.owners.update(each.owners)
            if each.remote_port:
                self.endpoints[each.remote, each.remote_port] += each.sockets
                continue
            self.ports[each.protocol, each.local_port] += each.sockets
            if any(each.remote):
                self.sources[each.remote if len(each.remote) == 4 else each.remote[:8]] += each.sockets


def _owner_of_port(bundles: Sequence[SocketGroup]) -> int | None:
    """Who listens there, else who holds most of its sockets."""
    listening = [pid for each in bundles if each.state == "LISTEN" for pid in each.owners]
    return min(listening, default=None) or _holder(bundles)


def _holder(bundles: Iterable[SocketGroup]) -> int | None:
    """Who holds most of these sockets; ``None`` where that is not known."""
    held: Counter[int] = Counter()
    for each in bundles:
        held.update(each.owners)
    return most(held, 1)[0][0] if held else None


def _state(bundles: Iterable[SocketGroup], pid: int) -> str:
    """The state in which a process has most of its sockets."""
    states: Counter[str] = Counter()
    for each in bundles:
        states[each.state] += each.owners.get(pid, 0)
    return most(states, 1)[0][0]


def _connections_clause(evidence: Mapping[str, Any], note: str) -> str:
    nobody = [{"percent": 0.0}]
    port, endpoint, owner, remote = (
        (evidence[kind] or nobody)[0] for kind in ("ports", "endpoints", "owners", "remotes")
    )
    candidates = [
        (port["percent"], port["percent"], f"on :{port.get('port')}{_by('owned by', port)}"),
        (endpoint["percent"], endpoint["percent"], f"to {_joined(endpoint)}{_by('owned by', endpoint)}"),
        # A process says less than a port or an endpoint, so it has to have clearly more to be told instead.
        (owner["percent"] / 1.25, owner["percent"], f"owned by {owner_text(owner)}"),
    ]
    _, percent, what = max(candidates, key=lambda candidate: candidate[0])
    parts = [f"{percent:.0f}% {what}"] if percent >= LEAST_PERCENT else []
    state = (evidence["states"] or [{"state": "", "percent": 0.0}])[0]
    if state["state"] in _TELLING and state["percent"] >= 50:
        parts.append(f"{state['percent']:.0f}% {state['state']}")
    if what != candidates[1][2] and remote["percent"] >= LEAST_PERCENT:
        parts.append(f"{remote['percent']:.0f}% from {remote['address']}")
    return clause(parts, note)


def of_rate(
    interface: Interface,
    way: str,
    moves: Sequence[tuple[SocketTraffic, int | None]],
    carried: int,
    named: Named,
    ports: set[int],
    count: int,
    note: str = "",
) -> Culprits:
    """Who moved the bytes of one interface; ``way`` is ``outbound`` or ``inbound``.

    ``carried`` are the interface's own bytes; ``ports`` those that are listened on.
    """
    bytes_of: Counter[int | None] = Counter()
    peers: dict[int | None, Counter[tuple[bytes, int]]] = {}
    for move, pid in moves:
        octets = move.sent if way == "outbound" else move.received
        s = move.socket
        if octets:
            bytes_of[pid] += octets
            accepted = s.local_port in ports
            peer = s.remote, 0 if accepted else s.remote_port
            peers.setdefault(pid, Counter())[peer] += octets
    total = max(carried, bytes_of.total())
    preposition = "to" if way == "outbound" else "from"
    entries: list[dict[str, Any]] = []
    parts: list[str] = []
    for pid, octets in most(bytes_of, count + 1):
        person = {} if pid is None else owner_fields(named(pid))
        listed: list[dict[str, Any]] = [
            {"address": shown(address), "port": port or None, "bytes": n}
            for (address, port), n in most(peers[pid], count)
        ]
        entries.append(person | {"bytes": octets, "percent": percent_of(octets, total), "peers": listed})
        if 100 * octets >= LEAST_PERCENT * total and len(parts) < 2:
            who = f" by {owner_text(person)}" if person else ""
            where = f"{preposition} {_joined(listed[0])}" if 2 * listed[0]["bytes"] >= octets else ""
            where = where or f"{preposition} {len(peers[pid])} peers"
            parts.append(f"{100 * octets / total:.0f}%{who} {where}")
    known = sum(n for pid, n in bytes_of.items() if pid is not None)
    evidence: dict[str, Any] = {
        "iface": interface.link.name,
        "direction": way,
        "bytes": total,
        "processes": entries,
        "coverage_percent": percent_of(known, total),
    }
    if note:
        evidence["note"] = note
    return clause(parts, note), evidence


def clause(parts: Sequence[str], note: str = "") -> str:
    """The parts as they follow a sentence, and the note; empty without parts."""
    return f" ({', '.join((*parts, note) if note else parts)})".replace(";", ",") if parts else ""


def most(counts: Mapping[K, int], count: int) -> list[tuple[K, int]]:
    """The largest, of equals the first in order, so that a report does not depend on chance."""

    def order(item: tuple[Any, int]) -> tuple[int, bool, Any]:
        return -item[1], item[0] is not None, item[0]

    return sorted(counts.items(), key=order)[:count]


def percent_of(part: int, total: int) -> float:
    """A share, one decimal."""
    return round(100 * part / total, 1) if total else 0.0


def shared(count: int, total: int) -> dict[str, Any]:
    """A count as evidence."""
    return {"count": count, "percent": percent_of(count, total)}


def source_text(key: bytes) -> str:
    """One remote party: an IPv4 address, or the /64 of an IPv6 one, of which its 8 bytes are given."""
    return shown(key) if len(key) == 4 else str(ipaddress.ip_network((key + bytes(8), 64)))


def owner_fields(owner: Owner) -> dict[str, Any]:
    """A process as evidence; what is unknown or does not apply is left out."""
    places = {"container": owner.container, "unit": owner.unit}
    return {
        "pid": owner.pid,
        "name": owner.name,
        "user": owner.user,
        **{key: value for key, value in places.items() if value},
    }


def owner_text(person: Mapping[str, Any]) -> str:
    """``nginx[1234]``."""
    return f"{person.get('name') or 'a process that has ended'}[{person.get('pid')}]"


def _by(words: str, person: Mapping[str, Any]) -> str:
    return f" {words} {owner_text(person)}" if person.get("pid") else ""


def _joined(peer: Mapping[str, Any]) -> str:
    address, port = peer.get("address", ""), peer.get("port")
    if not port:
        return str(address)
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def routed(moves: Iterable[SocketTraffic], interfaces: Sequence[Interface]) -> dict[str, list[int]]:
    """By interface, which of ``moves`` (their positions) it carried, by the local address.

    One without an address is a part of another, or its parts: it may have carried all that left the host.
    """
    owned = {
        packed(text.partition("%")[0]): interface.link.name
        for interface in interfaces
        for text in (*interface.link.ipv4, *interface.link.ipv6)
    }
    bare = [i.link.name for i in interfaces if not (i.link.ipv4 or i.link.ipv6)]
    found: dict[str, list[int]] = {interface.link.name: [] for interface in interfaces}
    for position, move in enumerate(moves):
        local, remote = move.socket.local, move.socket.remote
        if remote in owned or ipaddress.ip_address(remote).is_loopback:
            found.setdefault("lo", []).append(position)
            continue
        for name in [owned[local]] if local in owned else []:
            found[name].append(position)
        for name in bare:
            found[name].append(position)
    return found
