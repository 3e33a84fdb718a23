"""Sockets and who holds them -> whose they are, those included that no process holds. Pure.

Law: one that is not accepted yet, half open, or closed already is its listener's, else that of the only
process that talks to its remote, else nobody's. What a process holds that is not known stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from network_health.model import Socket, SocketGroup

_ANY = (bytes(4), bytes(16))
#: A packed address and a port.
_End = tuple[bytes, int]


class _Likely:
    """``listening`` are the ends that are listened on, ``talking`` the remotes of connections, with pids."""

    def __init__(
        self, listening: Iterable[tuple[_End, int | None]], talking: Iterable[tuple[_End, int]]
    ) -> None:
        self._listening = {end: pid for end, pid in listening if pid is not None}
        self._talking: dict[_End, set[int]] = {}
        for end, pid in talking:
            self._talking.setdefault(end, set()).add(pid)

    def pid_of(self, local: _End, remote: _End) -> int | None:
        address, port = local
        for each in (address, *_ANY):
            if (each, port) in self._listening:
                return self._listening[each, port]
        talking = self._talking.get(remote, set())
        return next(iter(talking)) if len(talking) == 1 else None


def settled(bundles: Sequence[SocketGroup]) -> list[SocketGroup]:
    """The bundles, with those of their sockets that no process holds given to whom they are likely of."""
    remotes = {(b.remote, b.remote_port) for b in bundles if b.without_owner and b.remote_port}
    likely = _Likely(
        (((b.local, b.local_port), min(b.owners, default=None)) for b in bundles if b.state == "LISTEN"),
        (
            ((b.remote, b.remote_port), pid)
            for b in bundles
            if (b.remote, b.remote_port) in remotes
            for pid in b.owners
        ),
    )
    return [_with_likely(each, likely) if each.without_owner else each for each in bundles]


def _with_likely(bundle: SocketGroup, likely: _Likely) -> SocketGroup:
    pid = likely.pid_of((bundle.local, bundle.local_port), (bundle.remote, bundle.remote_port))
    if pid is None or bundle.protocol != "tcp":
        return bundle
    return bundle._replace(
        without_owner=0, owners={**bundle.owners, pid: bundle.owners.get(pid, 0) + bundle.without_owner}
    )


def owners_of(
    sockets: Sequence[Socket],
    pids: Mapping[int, int],
    listeners: Sequence[Socket],
    talking: Iterable[Socket] = (),
) -> list[int | None]:
    """The pid of each of ``sockets``, ``None`` where it is unknown; those ``talking`` help with remotes."""
    ports = {each.local_port for each in listeners}
    likely = _Likely(
        (((each.local, each.local_port), pids.get(each.inode)) for each in listeners),
        (
            ((each.remote, each.remote_port), pids[each.inode])
            for each in (*talking, *sockets)
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
