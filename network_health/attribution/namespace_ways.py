"""Finds the way of other namespaces' traffic through the interfaces of this one.

What a container sends by its end of a veth, the other end receives; so does a bridge that hands it to the
host. From there the host's own routes decide, or the bridge's list of hardware addresses.

Guarantees: as `interface_paths`: a byte has no way where it is not known. On a veth to another namespace that
was read, that one's own sockets are named, not those that it talks to. What a rule redirects goes to where
the tracked connection goes; if that is not known, other interfaces may have carried the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from network_health.attribution.interface_paths import NOTHING_BELOW, InterfacePaths, Way
from network_health.attribution.interface_traffic import LOOPBACK, Addresses, read_via, sibling_addresses
from network_health.attribution.namespace_traffic import LeavingFlow, NamespaceTraffic
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.model import Link
from network_health.sources import linux

#: Traffic by its way through this namespace.
Ways = Sequence[tuple[Way, Sequence[OwnedTraffic]]]


class _Arrival(NamedTuple):
    """Where a flow arrives: at the veth ``end``; if a bridge hands it to the host also at ``uppers``.

    It is routed if ``is_routed``; else a bridge hands it to the port ``leaves``, 0 if its further way is not
    known.
    """

    flow: LeavingFlow
    end: int
    uppers: Sequence[int] = ()
    is_routed: bool = True
    leaves: int = 0

    @property
    def ways(self) -> Ways:
        """One for each interface by which it arrives: a rule can make a bridge deliver it to a port."""
        returns = self.flow.returns
        return [
            (Way(each, NOTHING_BELOW, leaves=returns, mirrored=True), self.flow.traffic)
            for each in (self.end, *self.uppers)
        ]


def read_ways(
    others: Sequence[NamespaceTraffic], paths: InterfacePaths, rerouted: linux.ChangedRoutes
) -> Ways:
    """The ways of the traffic of ``others``, without that to addresses ``rerouted`` meanwhile.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    addresses = Addresses(linux.read_interface_addresses())
    entered = {each.namespace.kernel_id for each in others} - {None}
    ends = {
        (link.peer_namespace, link.peer_index): index
        for index, link in paths.links.items()
        if link.peer_namespace is not None
    }
    arrivals, found = list[_Arrival](), list[tuple[Way, Sequence[OwnedTraffic]]]()
    for each in others:
        for flow in each.flows:
            number = each.namespace.kernel_id
            end = None if number is None else ends.get((number, flow.link.index))
            if end is not None:
                arrivals.append(_Arrival(flow, end))
            elif flow.lower in paths.links:
                found += _by_lower(flow, paths.links)
    arrivals = [*_through_bridges(arrivals, paths.links, addresses)]
    found += [way for each in arrivals for way in each.ways]
    leaving = [(Way(each.leaves), each.flow.traffic) for each in arrivals if each.leaves]
    leaving += _routed(arrivals, paths, addresses, rerouted)
    for way, traffic in leaving:
        end = paths.end_of(way)
        if end is None or paths.links[end].peer_namespace not in entered:
            found.append((way, traffic))
    return found


def _by_lower(flow: LeavingFlow, links: Mapping[int, Link]) -> Ways:
    """The way of a macvlan's or ipvlan's traffic; none if it may go to one on the same interface."""
    lower, hop = flow.lower or 0, flow.hardware_address
    if flow.link.delivers_to_siblings:
        siblings = linux.read_unicast_addresses(lower) | {links[lower].hardware_address}
        siblings |= {link.hardware_address for link in links.values() if link.lower == lower}
        if not hop or hop in siblings:
            return []
    is_bridge = links[lower].kind == "bridge"
    via = linux.read_bridge_ports(lower, {hop}).get(hop) if is_bridge and hop else None
    return [(Way(lower, via, returns=flow.returns), flow.traffic)]


def _through_bridges(
    arrivals: Sequence[_Arrival], links: Mapping[int, Link], addresses: Addresses
) -> Iterator[_Arrival]:
    """The arrivals, with what a bridge does with their packets."""
    hops: dict[int, set[bytes]] = {}
    for each in arrivals:
        if (master := links[each.end].master) in links:
            hops.setdefault(master or 0, set()).add(each.flow.hardware_address)
    ports = {
        bridge: linux.read_bridge_ports(bridge, hops[bridge] - {b""})
        for bridge in hops
        if links[bridge].kind == "bridge"
    }
    for each in arrivals:
        bridge, hop = links[each.end].master or 0, each.flow.hardware_address
        if each.flow.is_tunneled:
            yield each._replace(is_routed=False)
            continue
        if bridge not in links or links[bridge].kind == "vrf":
            yield each
            continue
        own = [
            index
            for index, link in links.items()
            if bridge in (index, link.lower) and hop and link.hardware_address == hop
        ]
        if len(own) > 1:  # a vlan has the address of its bridge
            own = [index for index in own if index in addresses.homes.get(each.flow.next_hop, ())]
        if bridge in ports and len(own) == 1:
            yield each._replace(uppers=sorted({bridge, own[0]}, key=lambda index: index == own[0]))
        else:
            yield each._replace(is_routed=False, leaves=ports.get(bridge, {}).get(hop, 0))


def _routed(
    arrivals: Sequence[_Arrival], paths: InterfacePaths, addresses: Addresses, rerouted: linux.ChangedRoutes
) -> Ways:
    """The ways by which this namespace forwards the traffic, according to its routes."""
    routed = [each for each in arrivals if each.is_routed]
    sockets = [each.flow.traffic[0][0].socket for each in routed]
    reached = [each.flow.destination or socket.remote for each, socket in zip(routed, sockets, strict=True)]
    flows = [
        linux.Flow(socket.local, address, mark=None, arrives=(each.end, *each.uppers)[-1])
        for each, socket, address in zip(routed, sockets, reached, strict=True)
    ]
    routes = linux.read_routes(flows, linux.read_rules()) if flows else []
    siblings = sibling_addresses(paths.links)
    via = read_via({each for each in routes if each}, paths.links, siblings)
    found = []
    for each, address, route in zip(routed, reached, routes, strict=True):
        if route is None or route.device == LOOPBACK or rerouted.include(address):
            continue
        is_neighbour = route.next_hop == address
        returns = is_neighbour and addresses.next_to(address) <= {route.device}
        leaves = each.flow.destination is not None
        way = Way(route.device, via.get(route), returns=returns, leaves=leaves)
        found.append((way, each.flow.traffic))
    return found
