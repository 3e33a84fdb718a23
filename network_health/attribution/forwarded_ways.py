"""Asks the kernel which interfaces forwarded flows crossed, and in which network namespaces their ends are.

Guarantees: routes are looked up for the flows with most bytes, at most `_MAX_ROUTES` pairs of addresses. A
flow has a way only if the routes of both directions agree. An address is in a namespace only if that has it,
packets to it leave by the veth interface that leads there, and this one can have carried all bytes of the
address: another container may have the same one, or send from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from network_health.attribution.forwarded_flows import at_destination, at_source
from network_health.attribution.interface_paths import RECEIVED, SENT, Carried, InterfacePaths, Way
from network_health.attribution.interface_traffic import (
    LOOPBACK,
    Addresses,
    read_routed,
    read_via,
    sibling_addresses,
)
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.model import Namespace, TrackedFlow
from network_health.sources import linux

#: Pairs of addresses; three routes each, which takes about 50 ms.
_MAX_ROUTES = 1000
#: Flows and interfaces are read at slightly different moments.
_TOLERANCE = 1.1
#: How many namespaces are entered for their addresses.
_MAX_ENTERED = 3


@dataclass(frozen=True, slots=True)
class ForwardedTraffic:
    """The flows whose ways are known, and their traffic by way, at both sides of the host.

    ``of_all`` is the same with the flows of this host itself. ``neighbours`` has, by address, the interface
    that alone leads to a host with this address.
    """

    paths: InterfacePaths
    flows: Sequence[TrackedFlow]
    by_way: Mapping[Way, Sequence[OwnedTraffic]]
    of_all: Mapping[Way, Sequence[OwnedTraffic]]
    neighbours: Mapping[bytes, int] = field(default_factory=dict)


class _Pair(NamedTuple):
    """What the routes of a flow depend on; without ports these are 0."""

    source: bytes
    destination: bytes
    protocol: int = 0
    source_port: int = 0
    port: int = 0

    def forth(self, arrives: int) -> linux.Flow:
        """The packets of the source."""
        ports = self.source_port, self.port
        return self._flow(self.source, self.destination, ports, arrives)

    def back(self, arrives: int) -> linux.Flow:
        """The answers."""
        return self._flow(self.destination, self.source, (self.port, self.source_port), arrives)

    def _flow(self, source: bytes, destination: bytes, ports: tuple[int, int], arrives: int) -> linux.Flow:
        return linux.Flow(
            source, destination, mark=None, protocol=self.protocol, ports=ports, arrives=arrives
        )


def read_ways(
    flows: Iterable[TrackedFlow],
    own: Iterable[OwnedTraffic],
    addresses: Addresses,
    rerouted: linux.ChangedRoutes,
) -> ForwardedTraffic:
    """The ways of forwarded flows, and of ``own`` ones, in the calling thread's network namespace.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    routed, rules = read_routed(own, rerouted), linux.read_rules()
    paths = routed.paths
    by_pair = _largest(flows, rules, rerouted)
    pairs = list(by_pair)
    # By which interface packets arrive is not known of a flow: by that of the way back, if both agree.
    sides = linux.read_routes([linux.Flow(b"", each.source, mark=None) for each in pairs], rules)
    forth = linux.read_routes(
        [each.forth(side.device if side else LOOPBACK) for each, side in zip(pairs, sides, strict=True)],
        rules,
    )
    back = linux.read_routes(
        [each.back(route.device if route else LOOPBACK) for each, route in zip(pairs, forth, strict=True)],
        rules,
    )
    via = read_via({each for each in (*forth, *back) if each}, paths.links, sibling_addresses(paths.links))
    known, by_way, neighbours = list[TrackedFlow](), dict[Way, list[OwnedTraffic]](), dict[bytes, int]()
    for pair, side, there, here in zip(pairs, sides, forth, back, strict=True):
        if side is None or there is None or here is None or here.device != side.device:
            continue
        if LOOPBACK in (here.device, there.device) or here.device == there.device:
            continue  # for this host, or switched by a bridge
        known += by_pair[pair]
        for address, route, as_socket in (
            (pair.source, here, at_source),
            (pair.destination, there, at_destination),
        ):
            is_neighbour = route.next_hop == address
            returns = is_neighbour and addresses.next_to(address) <= {route.device}
            way = Way(route.device, via.get(route), returns)
            by_way.setdefault(way, []).extend(as_socket(flow) for flow in by_pair[pair])
            end = paths.end_of(way)
            if is_neighbour and end is not None:
                neighbours[address] = end
    of_all = {
        way: [*by_way.get(way, ()), *routed.by_way.get(way, ())]
        for way in by_way.keys() | routed.by_way.keys()
    }
    return ForwardedTraffic(paths, known, by_way, of_all, neighbours)


def read_places(
    traffic: ForwardedTraffic, addresses: Iterable[bytes], namespaces: Iterable[Namespace], carried: Carried
) -> dict[bytes, str]:
    """The label of the network namespace that has each address; without those that are not known.

    Addresses are looked up in their order; a namespace that denies access, or has ended, has none.
    """
    by_id = {each.kernel_id: each for each in namespaces if each.kernel_id is not None}
    octets = _by_address(traffic.flows)
    inside: dict[int, set[bytes]] = {}
    found = {}
    for address in addresses:
        index = traffic.neighbours.get(address, 0)
        link = traffic.paths.links.get(index)
        namespace = by_id.get(link.peer_namespace) if link and link.peer_namespace is not None else None
        most = [_TOLERANCE * each for each in carried.get(index, (0, 0))]
        if (
            namespace is None
            or octets[address][SENT] > most[RECEIVED]
            or octets[address][RECEIVED] > most[SENT]
        ):
            continue
        if namespace.inode not in inside and len(inside) < _MAX_ENTERED:
            inside[namespace.inode] = _read_addresses(namespace)
        if address in inside.get(namespace.inode, ()):
            found[address] = namespace.label
    return found


def _by_address(flows: Iterable[TrackedFlow]) -> dict[bytes, tuple[int, int]]:
    """The bytes that each address sent and received."""
    octets: dict[bytes, tuple[int, int]] = {}
    for flow in flows:
        for address, *moved in (
            (flow.original.source, flow.sent, flow.received),
            (flow.reply.source, flow.received, flow.sent),
        ):
            known = octets.get(address, (0, 0))
            octets[address] = known[SENT] + moved[SENT], known[RECEIVED] + moved[RECEIVED]
    return octets


def _read_addresses(namespace: Namespace) -> set[bytes]:
    try:
        listed = linux.call_in_namespace(namespace.pid, namespace.inode, linux.read_interface_addresses)
    except (OSError, ValueError):
        return set()
    return {each.address for each in listed}


def _largest(
    flows: Iterable[TrackedFlow], rules: Mapping[int, linux.Rules], rerouted: linux.ChangedRoutes
) -> dict[_Pair, list[TrackedFlow]]:
    """The flows by what their routes depend on, those with most bytes first."""
    with_ports = any(each.on_ports for each in rules.values())
    by_pair: dict[_Pair, list[TrackedFlow]] = {}
    octets = Counter[_Pair]()
    for flow in flows:
        source, destination = flow.original.source, flow.reply.source
        if rerouted.include(source) or rerouted.include(destination):
            continue
        pair = _Pair(source, destination)
        if with_ports:
            pair = _Pair(
                source, destination, flow.protocol, flow.original.source_port, flow.reply.source_port
            )
        by_pair.setdefault(pair, []).append(flow)
        octets[pair] += flow.sent + flow.received
    return {pair: by_pair[pair] for pair, _ in octets.most_common(_MAX_ROUTES)}
