"""Finds the culprits of a high number of connections: ports, remote addresses, processes. Pure.

Guarantees: shares are of all sockets, including those whose owner is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from network_health.attribution import evidence
from network_health.attribution.evidence import Culprits, OwnerOf
from network_health.attribution.ownership import is_connection, merged, with_likely_owners
from network_health.model import ANOTHER_PROCESS, Holders, SocketGroup

#: Many sockets in one of these states are a symptom of their own.
_SUSPICIOUS_STATES = frozenset(
    {"CLOSE_WAIT", "FIN_WAIT1", "FIN_WAIT2", "LAST_ACK", "SYN_RECV", "SYN_SENT", "TIME_WAIT"}
)


def of_connections(groups: Sequence[SocketGroup], owner_of: OwnerOf, count: int, note: str = "") -> Culprits:
    """The ports, remote addresses, endpoints, states and owners with most sockets; at most ``count`` of each.

    An accepted connection counts for its port and its remote address, an outgoing one for its endpoint. Both
    ends of a connection within the host count for the port.
    """
    groups = with_likely_owners(groups)
    counts = _Counts(groups)
    total, owners = counts.states.total(), merged(counts.owners)
    known = sum(n for holders, n in counts.owners.items() if ANOTHER_PROCESS not in holders)

    def owner(holders: Holders) -> dict[str, Any]:
        return evidence.owner_fields(owner_of(holders))

    def main_owner(groups: Sequence[SocketGroup]) -> dict[str, Any]:
        holders, percent = _main_owner(groups)
        share = {"owner_percent": percent} if percent < 100 - evidence.MIN_PERCENT else {}
        return owner(holders) | share if holders else {}

    def owner_of_port(key: tuple[str, int]) -> dict[str, Any]:
        here = [each for each in groups if (each.protocol, each.local_port) == key and not each.remote_port]
        connections = [each for each in here if is_connection(each) and each.owners]
        found = main_owner(connections or here)
        holders, percent = _main_owner(counts.openers.get(key, ()))
        opened = round(counts.opened[key] * percent / 100)
        if percent <= 50 or found.get("pid") in holders:
            return found
        share = {"count": opened, "percent": evidence.percent_of(opened, total)}
        return found | {"opened_by": owner(holders) | share}

    def owner_of_endpoint(key: tuple[bytes, int]) -> dict[str, Any]:
        return main_owner([each for each in groups if (each.remote, each.remote_port) == key])

    ranked = partial(evidence.ranked, count=count, total=total)
    result: dict[str, Any] = {
        "total": total,
        "ports": ranked(counts.ports, lambda key: {"port": key[1], "protocol": key[0]}, owner_of_port),
        "remotes": ranked(counts.sources, lambda key: {"address": evidence.source_text(key)}),
        "endpoints": ranked(
            counts.endpoints,
            lambda key: {"address": evidence.address_text(key[0]), "port": key[1]},
            owner_of_endpoint,
        ),
        "states": ranked(counts.states, lambda state: {"state": state}),
        "owners": ranked(owners, owner, lambda holders: {"state": _main_state(groups, holders[0])}),
        "coverage_percent": evidence.percent_of(known, total),
    }
    return _clause(result, counts.foreign(), note), result | ({"note": note} if note else {})


class _Counts:
    """Sockets counted by everything that can be a culprit; ``openers`` has the sockets that opened
    connections within the host, by port, and ``opened`` their number.
    """

    def __init__(self, groups: Sequence[SocketGroup]) -> None:
        self.ports: Counter[tuple[str, int]] = Counter()
        self.sources: Counter[bytes] = Counter()
        self.endpoints: Counter[tuple[bytes, int]] = Counter()
        self.states: Counter[str] = Counter()
        self.owners: Counter[Holders] = Counter()
        self.openers: dict[tuple[str, int], list[SocketGroup]] = {}
        self.opened: Counter[tuple[str, int]] = Counter()
        #: Of the sources, the host's own addresses.
        self._own: set[bytes] = set()
        accepted = [each for each in groups if not each.remote_port]
        self._ports = {(each.protocol, each.local_port) for each in accepted}
        self._endpoints = {(each.protocol, each.local, each.local_port) for each in accepted}
        local = {each.local for each in groups}
        for each in groups:
            self.states[each.state] += each.sockets
            self.owners.update(each.owners)
            if each.remote_port:
                self._add_outgoing(each)
                continue
            self.ports[each.protocol, each.local_port] += each.sockets
            if any(each.remote):
                source = evidence.source_of(each.remote)
                self.sources[source] += each.sockets
                if each.remote in local or evidence.is_loopback(each.remote):
                    self._own.add(source)

    def foreign(self) -> tuple[bytes, int]:
        """The source with most sockets that is another host, and their number."""
        sources = {source: n for source, n in self.sources.items() if source not in self._own}
        return (evidence.largest(sources, 1) or [(b"", 0)])[0]

    def _add_outgoing(self, each: SocketGroup) -> None:
        key = each.protocol, each.remote_port
        is_own = each.remote == each.local or evidence.is_loopback(each.remote)
        if (is_own and key in self._ports) or (
            each.protocol,
            each.remote,
            each.remote_port,
        ) in self._endpoints:
            self.ports[key] += each.sockets
            self.openers.setdefault(key, []).append(each)
            self.opened[key] += each.sockets
        else:
            self.endpoints[each.remote, each.remote_port] += each.sockets


def _main_owner(groups: Iterable[SocketGroup]) -> tuple[Holders, float]:
    """The process with most of these sockets, and its share in percent; empty if no owner is known."""
    owners: Counter[Holders] = Counter()
    total = 0
    for each in groups:
        owners.update(each.owners)
        total += each.sockets
    holders, n = (evidence.largest(merged(owners), 1) or [((), 0)])[0]
    return holders, evidence.percent_of(n, total)


def _main_state(groups: Iterable[SocketGroup], pid: int) -> str:
    """The state of most sockets of a process."""
    states: Counter[str] = Counter()
    for each in groups:
        states[each.state] += sum(n for holders, n in each.owners.items() if holders[0] == pid)
    return evidence.largest(states, 1)[0][0]


def _clause(result: Mapping[str, Any], foreign: tuple[bytes, int], note: str) -> str:
    port, endpoint, owner = (
        (result[kind] or [{"percent": 0.0}])[0] for kind in ("ports", "endpoints", "owners")
    )
    on_port = f"on :{port.get('port')}{evidence.owned_by(port)}"
    to_endpoint = f"to {evidence.endpoint_text(endpoint)}{evidence.owned_by(endpoint)}"
    candidates = [
        (port["percent"], port["percent"], on_port),
        (endpoint["percent"], endpoint["percent"], to_endpoint),
        # A process alone says less than a port or an endpoint, so its share must be clearly larger.
        (owner["percent"] / 1.25, owner["percent"], f"owned by {evidence.owner_text(owner)}"),
    ]
    _, percent, text = max(candidates, key=lambda candidate: candidate[0])
    parts = [f"{percent:.0f}% {text}"] if percent >= evidence.MIN_PERCENT else []
    opener = port.get("opened_by", {"percent": 0.0})
    if text == on_port and opener["percent"] >= evidence.MIN_PERCENT:
        parts.append(f"{opener['percent']:.0f}% opened by {evidence.owner_text(opener)}")
    state = (result["states"] or [{"state": "", "percent": 0.0}])[0]
    if state["state"] in _SUSPICIOUS_STATES and state["percent"] >= 50:
        parts.append(f"{state['percent']:.0f}% {state['state']}")
    from_percent = evidence.percent_of(foreign[1], result["total"])
    if text != to_endpoint and from_percent >= evidence.MIN_PERCENT:
        parts.append(f"{from_percent:.0f}% from {evidence.source_text(foreign[0])}")
    # Beside the owner of nearly all sockets the note would be a contradiction; the evidence has it.
    is_explained = percent > 100 - evidence.MIN_PERCENT and "owned by" in text
    return evidence.clause(parts, "" if is_explained and not text.endswith(evidence.OTHERS) else note)
