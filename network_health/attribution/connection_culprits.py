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
from network_health.attribution.ownership import with_likely_owners
from network_health.model import SocketGroup

#: Many sockets in one of these states are a symptom of their own.
_SUSPICIOUS_STATES = frozenset(
    {"CLOSE_WAIT", "FIN_WAIT1", "FIN_WAIT2", "LAST_ACK", "SYN_RECV", "SYN_SENT", "TIME_WAIT"}
)


def of_connections(groups: Sequence[SocketGroup], owner_of: OwnerOf, count: int, note: str = "") -> Culprits:
    """The ports, remote addresses, endpoints, states and owners with most sockets; at most ``count`` of each.

    An accepted connection counts for its port and its remote address, an outgoing one for its endpoint.
    """
    groups = with_likely_owners(groups)
    counts = _Counts(groups)
    total = counts.states.total()

    def owner(pid: int | None) -> dict[str, Any]:
        return {} if pid is None else evidence.owner_fields(owner_of(pid))

    def owner_of_port(key: tuple[str, int]) -> dict[str, Any]:
        return owner(_owner_of_port([each for each in groups if (each.protocol, each.local_port) == key]))

    def owner_of_endpoint(key: tuple[bytes, int]) -> dict[str, Any]:
        return owner(_main_owner([each for each in groups if (each.remote, each.remote_port) == key]))

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
        "owners": ranked(counts.owners, owner, lambda pid: {"state": _main_state(groups, pid)}),
        "coverage_percent": evidence.percent_of(counts.owners.total(), total),
    }
    return _clause(result, note), result | ({"note": note} if note else {})


class _Counts:
    """Sockets counted by everything that can be a culprit."""

    def __init__(self, groups: Iterable[SocketGroup]) -> None:
        self.ports: Counter[tuple[str, int]] = Counter()
        self.sources: Counter[bytes] = Counter()
        self.endpoints: Counter[tuple[bytes, int]] = Counter()
        self.states: Counter[str] = Counter()
        self.owners: Counter[int] = Counter()
        for each in groups:
            self.states[each.state] += each.sockets
            self.owners.update(each.owners)
            if each.remote_port:
                self.endpoints[each.remote, each.remote_port] += each.sockets
                continue
            self.ports[each.protocol, each.local_port] += each.sockets
            if any(each.remote):
                self.sources[evidence.source_of(each.remote)] += each.sockets


def _owner_of_port(groups: Sequence[SocketGroup]) -> int | None:
    """The process that listens on the port, else the one with most of its sockets."""
    listening = [pid for each in groups if each.state == "LISTEN" for pid in each.owners]
    return min(listening, default=None) or _main_owner(groups)


def _main_owner(groups: Iterable[SocketGroup]) -> int | None:
    """The process with most of these sockets; ``None`` if no owner is known."""
    owners: Counter[int] = Counter()
    for each in groups:
        owners.update(each.owners)
    return evidence.largest(owners, 1)[0][0] if owners else None


def _main_state(groups: Iterable[SocketGroup], pid: int) -> str:
    """The state of most sockets of a process."""
    states: Counter[str] = Counter()
    for each in groups:
        states[each.state] += each.owners.get(pid, 0)
    return evidence.largest(states, 1)[0][0]


def _clause(result: Mapping[str, Any], note: str) -> str:
    port, endpoint, owner, remote = (
        (result[kind] or [{"percent": 0.0}])[0] for kind in ("ports", "endpoints", "owners", "remotes")
    )
    to_endpoint = f"to {evidence.endpoint_text(endpoint)}{evidence.owned_by(endpoint)}"
    candidates = [
        (port["percent"], port["percent"], f"on :{port.get('port')}{evidence.owned_by(port)}"),
        (endpoint["percent"], endpoint["percent"], to_endpoint),
        # A process alone says less than a port or an endpoint, so its share must be clearly larger.
        (owner["percent"] / 1.25, owner["percent"], f"owned by {evidence.owner_text(owner)}"),
    ]
    _, percent, text = max(candidates, key=lambda candidate: candidate[0])
    parts = [f"{percent:.0f}% {text}"] if percent >= evidence.MIN_PERCENT else []
    state = (result["states"] or [{"state": "", "percent": 0.0}])[0]
    if state["state"] in _SUSPICIOUS_STATES and state["percent"] >= 50:
        parts.append(f"{state['percent']:.0f}% {state['state']}")
    if text != to_endpoint and remote["percent"] >= evidence.MIN_PERCENT:
        parts.append(f"{remote['percent']:.0f}% from {remote['address']}")
    # Beside the owner of nearly all sockets the note would be a contradiction; the evidence has it.
    is_explained = percent > 100 - evidence.MIN_PERCENT and "owned by" in text
    return evidence.clause(parts, "" if is_explained else note)
