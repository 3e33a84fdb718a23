"""Finds the culprits of connection attempts that a listener drops or answers with SYN cookies. Pure.

Guarantees: listeners that share a port are one port. Shares are of all dropped attempts, or of all half-open
connections, including those that no listener here has.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from network_health.attribution import evidence
from network_health.attribution.evidence import Culprits, OwnerOf
from network_health.model import HalfOpen, Holders, Socket

#: A listener, and the processes that have it open.
OwnedListener = tuple[Socket, Holders | None]


def of_listeners(
    listeners: Iterable[OwnedListener],
    refused: Counter[int],
    half_open: Iterable[HalfOpen],
    owner_of: OwnerOf,
    count: int,
    lost: float = 0,
) -> Culprits:
    """The ports with most refused connections (``refused`` is by cookie), then those with full queues.

    ``lost`` is the number of refused connections as the protocol counters have it. The half-open connections
    are named if they, and not the accept queue, fill the port's listener.
    """
    total = evidence.whole(refused.total(), lost)
    half = {each.port: each for each in half_open}
    ports = [_Port(members, refused, half.get(port)) for port, members in _by_port(listeners).items()]
    ports = [port for port in ports if port.refused or port.fullness > 0.5 or port.is_flooded]
    ports.sort(key=lambda port: (-port.refused, -port.fullness, port.number))
    entries = [
        port.fields(owner_of) | {"percent": evidence.percent_of(port.refused, total)} | port.sources(count)
        for port in ports[:count]
    ]
    parts = []
    for first, port in zip(entries[:1], ports, strict=False):
        share = f"{first['percent']:.0f}% " if first["refused"] else ""
        parts = [f"{share}{_named(first)}"]
        if port.is_flooded:
            parts += _flood(first)
        else:
            parts.append(f"{first['waiting']} waiting of {first['backlog']}")
    return evidence.clause(parts), {"listeners": entries}


def of_half_open(
    listeners: Iterable[OwnedListener], half_open: Sequence[HalfOpen], owner_of: OwnerOf, count: int
) -> Culprits:
    """The ports with most half-open connections, and the networks that these come from."""
    by_port = _by_port(listeners)
    total = sum(each.connections for each in half_open)
    entries: list[dict[str, Any]] = []
    for each in sorted(half_open, key=lambda each: (-each.connections, each.port))[:count]:
        port = _Port(by_port.get(each.port, []), Counter(), each)
        share = {"percent": evidence.percent_of(each.connections, total)}
        entries.append(port.fields(owner_of) | share | port.sources(count))
    parts = []
    for first in entries[:1]:
        parts = [f"{first['percent']:.0f}% {_named(first)}", *_flood(first)]
    return evidence.clause(parts), {"listeners": entries}


class _Port:
    """The listeners of one port."""

    def __init__(
        self, members: Sequence[OwnedListener], refused: Mapping[int, int], half: HalfOpen | None
    ) -> None:
        def weight(member: OwnedListener) -> tuple[int, float, bool]:
            return refused.get(member[0].cookie, 0), _fullness(member[0]), member[1] is not None

        self._members = sorted(members, key=weight, reverse=True)
        self._half = half
        self.number = members[0][0].local_port if members else half.port if half else 0
        self.refused = sum(refused.get(each.cookie, 0) for each, _ in members)
        self.fullness = max((_fullness(each) for each, _ in members), default=0.0)
        to_blame = [(each, holders) for each, holders in self._members if refused.get(each.cookie, 0)]
        self._owners = list(dict.fromkeys(h for _, h in to_blame or self._members if h is not None))

    @property
    def is_flooded(self) -> bool:
        """Whether half-open connections fill a listener that has room for accepted ones."""
        backlog = max((each.backlog for each, _ in self._members), default=0)
        half = self._half.connections if self._half else 0
        return half > 0 and 2 * half >= backlog and self.fullness <= 1

    def fields(self, owner_of: OwnerOf) -> dict[str, Any]:
        """The port, the queue of its fullest listener, its owner."""
        fields: dict[str, Any] = {"address": None, "port": self.number, "waiting": 0, "backlog": 0}
        for main, _ in self._members[:1]:
            fields |= {"address": evidence.address_text(main.local)}
            fields |= {"waiting": main.waiting, "backlog": main.backlog}
        fields |= {"refused": self.refused}
        if len(self._members) > 1:
            fields["sockets"] = len(self._members)
        for holders in self._owners[:1]:
            fields |= evidence.owner_fields(owner_of(holders))
        return fields | ({"more_owners": len(self._owners) - 1} if len(self._owners) > 1 else {})

    def sources(self, count: int) -> dict[str, Any]:
        """The half-open connections and their sources; empty if there are none."""
        if self._half is None:
            return {}
        total = self._half.connections
        sources = _main_sources(self._half.addresses)
        entries = evidence.ranked(sources, lambda text: {"address": text}, count=count, total=total)
        return {"half_open": total, "sources": entries, "source_count": len(sources)}


def _by_port(listeners: Iterable[OwnedListener]) -> dict[int, list[OwnedListener]]:
    ports: dict[int, list[OwnedListener]] = {}
    for each, holders in listeners:
        ports.setdefault(each.local_port, []).append((each, holders))
    return ports


def _fullness(listener: Socket) -> float:
    return listener.waiting / max(listener.backlog, 1)


def _main_sources(addresses: Mapping[bytes, int]) -> Counter[str]:
    """The connections by address, or by network if single addresses have few: /24, of IPv6 the /64."""
    single: Counter[str] = Counter()
    networks: Counter[str] = Counter()
    for address, n in addresses.items():
        single[evidence.source_text(evidence.source_of(address))] += n
        size = 24 if len(address) == 4 else 64
        networks[str(ipaddress.ip_network((address, size), strict=False))] += n
    most = [max(counts.values(), default=0) for counts in (single, networks)]
    return single if 2 * most[0] >= most[1] else networks


def _named(entry: Mapping[str, Any]) -> str:
    return f"on :{entry['port']}{evidence.owned_by(entry)}{evidence.and_others(entry)}"


def _flood(entry: Mapping[str, Any]) -> list[str]:
    parts = [f"{entry['half_open']} half-open connections"]
    for first in entry["sources"][:1]:
        if first["percent"] >= evidence.MIN_PERCENT:
            parts.append(f"{first['percent']:.0f}% from {first['address']}")
        else:
            parts.append(f"from {entry['source_count']} networks")
    return parts
