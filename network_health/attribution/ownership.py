"""Assigns sockets to processes, including sockets that no process has open. Pure.

Guarantees: a socket that no process has open (half open, not accepted yet, or closed) belongs to the listener
of its port, else to the only process with a connection to its remote endpoint, else to none. A socket that is
open in a process which is not visible has no known owner.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from network_health.model import Socket, SocketGroup

_ANY = (bytes(4), bytes(16))
#: A packed address and a port.
_Endpoint = tuple[bytes, int]


class _LikelyOwners:
    """Looks up ``listening`` by local endpoint and ``connected`` by remote endpoint; both have pids."""

    def __init__(
        self, listening: Iterable[tuple[_Endpoint, int | None]], connected: Iterable[tuple[_Endpoint, int]]
    ) -> None:
        self._listening = {endpoint: pid for endpoint, pid in listening if pid is not None}
        self._connected: dict[_Endpoint, set[int]] = {}
        for endpoint, pid in connected:
            self._connected.setdefault(endpoint, set()).add(pid)

    def pid_of(self, local: _Endpoint, remote: _Endpoint) -> int | None:
        address, port = local
        for each in (address, *_ANY):
            if (each, port) in self._listening:
                return self._listening[each, port]
        connected = self._connected.get(remote, set())
        return next(iter(connected)) if len(connected) == 1 else None


def with_likely_owners(groups: Sequence[SocketGroup]) -> list[SocketGroup]:
    """The groups, with their sockets without an owner assigned to the likely one."""
    remotes = {(g.remote, g.remote_port) for g in groups if g.without_owner and g.remote_port}
    likely = _LikelyOwners(
        (((g.local, g.local_port), min(g.owners, default=None)) for g in groups if g.state == "LISTEN"),
        (
            ((g.remote, g.remote_port), pid)
            for g in groups
            if (g.remote, g.remote_port) in remotes
            for pid in g.owners
        ),
    )
    return [_with_likely_owner(group, likely) if group.without_owner else group for group in groups]


def _with_likely_owner(group: SocketGroup, likely: _LikelyOwners) -> SocketGroup:
    pid = likely.pid_of((group.local, group.local_port), (group.remote, group.remote_port))
    if pid is None or group.protocol != "tcp":
        return group
    owners = {**group.owners, pid: group.owners.get(pid, 0) + group.without_owner}
    return group._replace(without_owner=0, owners=owners)


def owners_of(
    sockets: Sequence[Socket],
    pids: Mapping[int, int],
    listeners: Sequence[Socket],
    connected: Iterable[Socket],
) -> list[int | None]:
    """The pid of each of ``sockets``, ``None`` if unknown.

    ``pids`` are known owners by inode; ``connected`` are further sockets whose owners are considered.
    """
    ports = {each.local_port for each in listeners}
    likely = _LikelyOwners(
        (((each.local, each.local_port), pids.get(each.inode)) for each in listeners),
        (
            ((each.remote, each.remote_port), pids[each.inode])
            for each in (*connected, *sockets)
            if each.inode in pids and each.local_port not in ports
        ),
    )
    found = []
    for each in sockets:
        pid = pids.get(each.inode)
        if pid is None and (not each.inode or each.state == "CLOSE"):
            pid = likely.pid_of((each.local, each.local_port), (each.remote, each.remote_port))
        found.append(pid)
    return found
