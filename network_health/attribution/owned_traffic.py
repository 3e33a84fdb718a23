"""Finds the owners of all traffic of a window: of this namespace's sockets, and of those of others.

Guarantees: one search finds all of them. A connection between a socket of this namespace and one of another
is that of the former alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from network_health.attribution.namespace_traffic import NamespaceTraffic
from network_health.attribution.owner_lookups import OwnerLookups, read_connected
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.attribution.traffic_window import Window
from network_health.model import FlowTuple, Holders, Socket
from network_health.sources import linux

_Ends = tuple[tuple[bytes, int], tuple[bytes, int]]


class OwnedTraffics(NamedTuple):
    """The result of the search for owners, the traffic of this namespace, and the other ones with owners."""

    owners: linux.SocketOwners
    own: Sequence[OwnedTraffic]
    others: Sequence[NamespaceTraffic]


def find_owned(window: Window, others: Sequence[NamespaceTraffic], owners: OwnerLookups) -> OwnedTraffics:
    """The traffic of ``window`` and of ``others``, with its owners.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    own = read_connected([each.socket for each in window.traffic], window.listeners)
    found, holders = owners.of_sockets([own, *(each.sockets for each in others)])
    destinations = _destinations(others)
    ends = {_ends_of(each.socket) for each in window.traffic}
    return OwnedTraffics(
        found,
        list(zip(window.traffic, holders[0], strict=True)),
        [
            _with_owners(each, pids, ends, destinations)
            for each, pids in zip(others, holders[1:], strict=True)
        ],
    )


def _destinations(others: Sequence[NamespaceTraffic]) -> Mapping[int, bytes] | None:
    """The addresses that the connections with most bytes reach, by cookie; ``None`` if all reach theirs."""
    if not others or not linux.tracks_connections():
        return None
    traffic = [each for other in others for flow in other.flows for each, _ in flow.traffic]
    sockets = [each.socket for each in sorted(traffic, key=lambda each: -each.sent - each.received)]
    sockets = [each for each in sockets if each.cookie]  # those of calls have none, and no local port
    found = linux.read_destinations(
        [FlowTuple(each.local, each.remote, each.local_port, each.remote_port) for each in sockets]
    )
    return {each.cookie: address for each, address in zip(sockets, found, strict=True) if address}


def _with_owners(
    other: NamespaceTraffic,
    found: Sequence[Holders | None],
    here: Collection[_Ends],
    destinations: Mapping[int, bytes] | None,
) -> NamespaceTraffic:
    """The flows of another namespace, by destination, without connections whose other end is ``here``.

    Those of calls have their owners already.
    """
    sockets, listeners, _ = other.sockets
    holders = {each.cookie: pids for each, pids in zip(sockets, found, strict=True)}
    ports = {each.local_port for each in listeners}
    flows = []
    for flow in other.flows:
        reached: dict[bytes | None, list[OwnedTraffic]] = {}
        for each in flow.traffic:
            socket = each[0].socket
            if _is_far(each, here):
                address = socket.remote if destinations is None else destinations.get(socket.cookie)
                reached.setdefault(address, []).append(_owned(each, holders, ports))
        flows += [flow._replace(traffic=part, destination=address) for address, part in reached.items()]
    return replace(other, flows=flows)


def _owned(
    owned: OwnedTraffic, holders: Mapping[int, Holders | None], ports: Collection[int]
) -> OwnedTraffic:
    """An accepted connection has the remote port 0, because listeners here do not distinguish it."""
    each, pids = owned
    port = 0 if each.socket.local_port in ports else each.socket.remote_port
    socket = each.socket._replace(local_port=0, remote_port=port)
    return each._replace(socket=socket), pids if pids is not None else holders.get(socket.cookie)


def _is_far(owned: OwnedTraffic, here: Collection[_Ends]) -> bool:
    local, remote = _ends_of(owned[0].socket)
    return (remote, local) not in here


def _ends_of(socket: Socket) -> _Ends:
    return (socket.local, socket.local_port), (socket.remote, socket.remote_port)
