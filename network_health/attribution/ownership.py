"""Assigns sockets to processes, including sockets that no process has open. Pure.

Guarantees: a socket that no process has open (half open, not accepted yet, or closed) belongs to the listener
of its port. Else it belongs to the only process with a connection to its remote endpoint, or to
`ANOTHER_PROCESS`; to none if there is no such process. Of several processes that have the listener open,
those with connections of the port come first. A socket that is open in a process which is not visible has no
known owner.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from network_health.model import ANOTHER_PROCESS, MAX_HOLDERS, Holders, Socket, SocketGroup

#: The first process keeps listeners open for others, as systemd does.
_INIT = 1

_ANY = (bytes(4), bytes(16))
#: A packed address and a port.
_Endpoint = tuple[bytes, int]


class _LikelyOwners:
    """Uses ``listening`` by local endpoint, ``serving`` by local port, ``connected`` by remote endpoint."""

    def __init__(
        self,
        listening: Iterable[tuple[_Endpoint, Holders]],
        serving: Iterable[tuple[int, Holders]],
        connected: Iterable[tuple[_Endpoint, Holders]],
    ) -> None:
        by_endpoint: dict[_Endpoint, set[int]] = {}
        for endpoint, holders in listening:
            by_endpoint.setdefault(endpoint, set()).update(holders)
        by_port: dict[int, set[int]] = {}
        for port, holders in serving:
            by_port.setdefault(port, set()).update(holders)
        self._listening = {
            endpoint: _listening_holders(pids, by_port.get(endpoint[1], set()))
            for endpoint, pids in by_endpoint.items()
        }
        self._connected: dict[_Endpoint, set[Holders]] = {}
        for endpoint, holders in connected:
            self._connected.setdefault(endpoint, set()).add(holders)

    def holders_of(self, local: _Endpoint, remote: _Endpoint) -> Holders | None:
        address, port = local
        for each in (address, *_ANY):
            if self._listening.get((each, port)):
                return self._listening[each, port]
        connected = self._connected.get(remote, set())
        if len(connected) != 1:
            return None
        return (*next(iter(connected))[: MAX_HOLDERS - 1], ANOTHER_PROCESS)


def _listening_holders(pids: Collection[int], serving: Collection[int]) -> Holders:
    """The processes that have a listener open; those first that are ``serving`` connections of its port."""
    others = [pid for pid in pids if pid not in serving]
    if len(others) < len(pids):
        others = [pid for pid in others if pid != _INIT]
    return (*sorted(pid for pid in pids if pid in serving), *sorted(others))[:MAX_HOLDERS]


def with_likely_owners(groups: Sequence[SocketGroup]) -> list[SocketGroup]:
    """The groups, with their sockets without an owner assigned to the likely one.

    Of several processes that have a socket open, the one with most sockets of its own comes first.
    """
    remotes = {(g.remote, g.remote_port) for g in groups if g.without_owner and g.remote_port}
    listening = [each for each in groups if each.state == "LISTEN"]
    ports = {each.local_port for each in listening}
    likely = _LikelyOwners(
        (((g.local, g.local_port), holders) for g in listening for holders in g.owners),
        ((g.local_port, h) for g in groups if g.local_port in ports and is_connection(g) for h in g.owners),
        (
            ((g.remote, g.remote_port), holders)
            for g in groups
            if (g.remote, g.remote_port) in remotes
            for holders in g.owners
        ),
    )
    assigned = [_with_likely_owner(group, likely) if group.without_owner else group for group in groups]
    alone: Counter[int] = Counter()
    for each in assigned:
        alone.update({holders[0]: n for holders, n in each.owners.items() if len(holders) == 1})
    return [_ordered(each, alone) if any(len(h) > 1 for h in each.owners) else each for each in assigned]


def is_connection(group: SocketGroup) -> bool:
    """Whether the sockets are accepted TCP connections."""
    return group.protocol == "tcp" and group.state != "LISTEN" and not group.remote_port


def merged(owners: Mapping[Holders, int]) -> Counter[Holders]:
    """The counts by first process, with the others that share a tenth of its sockets, or more."""
    counts: Counter[int] = Counter()
    others: dict[int, Counter[int]] = {}
    for holders, n in owners.items():
        if holders:
            counts[holders[0]] += n
            others.setdefault(holders[0], Counter()).update(dict.fromkeys(holders[1:], n))
    result: Counter[Holders] = Counter()
    for pid, n in counts.items():
        sharing = [(-k, other) for other, k in others[pid].items() if 10 * k >= n]
        holders = (pid, *(other for _, other in sorted(sharing)[: MAX_HOLDERS - 1]))
        result[holders] = n
    return result


def _with_likely_owner(group: SocketGroup, likely: _LikelyOwners) -> SocketGroup:
    holders = likely.holders_of((group.local, group.local_port), (group.remote, group.remote_port))
    if holders is None or group.protocol != "tcp":
        return group
    owners = {**group.owners, holders: group.owners.get(holders, 0) + group.without_owner}
    return group._replace(without_owner=0, owners=owners)


def _ordered(group: SocketGroup, alone: Counter[int]) -> SocketGroup:
    owners: Counter[Holders] = Counter()
    for holders, n in group.owners.items():
        owners[_in_order(holders, alone)] += n
    return group._replace(owners=owners)


def _in_order(holders: Holders, alone: Counter[int]) -> Holders:
    return tuple(sorted(holders, key=lambda pid: (-alone[pid], pid)))


def owners_of(
    sockets: Sequence[Socket],
    pids: Mapping[int, Holders],
    listeners: Sequence[Socket],
    connected: Iterable[Socket],
) -> list[Holders | None]:
    """The processes that have each of ``sockets`` open, ``None`` if unknown, none if they have ended.

    ``pids`` are known owners by inode; ``connected`` are further sockets whose owners are considered.
    """
    ports = {each.local_port for each in listeners}
    others = [each for each in (*connected, *sockets) if pids.get(each.inode)]
    likely = _LikelyOwners(
        (((each.local, each.local_port), pids.get(each.inode, ())) for each in listeners),
        ((each.local_port, pids[each.inode]) for each in others if each.local_port in ports),
        (((s.remote, s.remote_port), pids[s.inode]) for s in others if s.local_port not in ports),
    )
    found = []
    for each in sockets:
        holders = pids.get(each.inode)
        if holders is None and (not each.inode or each.state == "CLOSE"):
            holders = likely.holders_of((each.local, each.local_port), (each.remote, each.remote_port))
        found.append(holders)
    alone = Counter(holders[0] for holders in found if holders and len(holders) == 1)
    return [holders and _in_order(holders, alone) for holders in found]
