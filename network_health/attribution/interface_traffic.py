"""Asks the kernel which interfaces carried the traffic of a window: routes, and how interfaces are stacked.

Guarantees: routes are looked up for the flows with most bytes, at most `linux.MAX_ROUTES`. A flow is all
sockets whose packets have the same route.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import NamedTuple

from network_health.attribution.interface_paths import NOTHING_BELOW, InterfacePaths, Way
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.model import Link, Socket, SocketTraffic
from network_health.sources import linux

#: The index of the loopback interface in each network namespace.
LOOPBACK = 1
#: What the route of a socket's packets depends on.
_WITHOUT_PORTS = attrgetter("local", "remote", "device", "mark", "uid")
_WITH_PORTS = attrgetter("local", "remote", "device", "mark", "uid", "local_port", "remote_port")
#: Numbers of the protocols whose routes the kernel looks up with them; 0 is not known.
_PROTOCOLS = {"tcp": 6, "udp": 17}
_UNKNOWN_PROTOCOL = 0


class RoutedFlow(NamedTuple):
    """The traffic of all sockets whose packets have the same route."""

    way: Way
    route: linux.Route
    traffic: Sequence[OwnedTraffic]


@dataclass(frozen=True, slots=True)
class RoutedTraffic:
    """The interfaces of the network namespace, and the traffic by its way; without that of unknown routes."""

    paths: InterfacePaths
    by_way: Mapping[Way, Sequence[OwnedTraffic]]
    flows: Sequence[RoutedFlow] = ()


class Addresses:
    """The interfaces that have each address (``homes``), and those that a remote address is next to."""

    def __init__(self, addresses: Iterable[linux.InterfaceAddress]) -> None:
        self.homes: dict[bytes, set[int]] = {}
        self._networks: dict[tuple[int, int, int], set[int]] = {}
        for each in addresses:
            self.homes.setdefault(each.address, set()).add(each.interface)
            key = len(each.address), each.prefix, each.network
            self._networks.setdefault(key, set()).add(each.interface)
        self._sizes = {(size, prefix) for size, prefix, _ in self._networks}

    def next_to(self, remote: bytes) -> set[int]:
        """The interfaces with a network that has ``remote``."""
        keys = [
            (size, prefix, linux.network_of(remote, prefix))
            for size, prefix in self._sizes
            if size == len(remote)
        ]
        return set[int]().union(*(self._networks.get(key, ()) for key in keys))


def read_routed(
    traffic: Iterable[OwnedTraffic], rerouted: linux.ChangedRoutes, most: int | None = None
) -> RoutedTraffic:
    """Look up the routes of the traffic, in the calling thread's network namespace.

    Without traffic whose route was changed while it was counted, and without that of the smallest flows if
    there are more than ``most``.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    links, rules = linux.read_links(), linux.read_rules()
    addresses = Addresses(linux.read_interface_addresses())
    siblings = sibling_addresses(links)
    on_ports = any(each.on_ports for each in rules.values())
    flows = largest_flows(traffic, with_ports=on_ports)[:most]
    flows = [owned for owned in flows if not rerouted.include(owned[0][0].socket.remote)]
    routes = linux.read_routes([_flow(owned[0][0]) for owned in flows], rules)
    via = read_via({route for route in routes if route}, links, siblings)
    by_way: dict[Way, list[OwnedTraffic]] = {}
    routed = []
    for owned, route in zip(flows, routes, strict=True):
        if route is not None:
            way = Way(route.device, via.get(route), _returns(owned[0][0].socket, route, addresses))
            by_way.setdefault(way, []).extend(owned)
            routed.append(RoutedFlow(way, route, owned))
    paths = InterfacePaths(links, _underlay(links, rules, rerouted), _hidden_siblings(links, siblings))
    return RoutedTraffic(paths, by_way, routed)


def largest_flows(traffic: Iterable[OwnedTraffic], *, with_ports: bool) -> list[list[OwnedTraffic]]:
    """The traffic of each flow, at most `linux.MAX_ROUTES`; the largest first."""
    key_of = _WITH_PORTS if with_ports else _WITHOUT_PORTS
    flows: dict[object, list[OwnedTraffic]] = {}
    octets: Counter[object] = Counter()
    for owned in traffic:
        each = owned[0]
        key = key_of(each.socket), each.protocol
        flows.setdefault(key, []).append(owned)
        octets[key] += each.sent + each.received
    return [flows[key] for key, _ in octets.most_common(linux.MAX_ROUTES)]


def _returns(socket: Socket, route: linux.Route, addresses: Addresses) -> bool:
    """Whether answers arrive by the interface of the route.

    They do within the host, to a socket that is bound to the interface, to an address that no other one has,
    and from a neighbour that is next to no other one.
    """
    only = {route.device}
    return (
        route.device in (LOOPBACK, socket.device)
        or addresses.homes.get(socket.local) == only
        or (route.next_hop == socket.remote and addresses.next_to(socket.remote) <= only)
    )


def _flow(traffic: SocketTraffic) -> linux.Flow:
    socket, protocol = traffic.socket, _PROTOCOLS.get(traffic.protocol, _UNKNOWN_PROTOCOL)
    ports = socket.local_port, socket.remote_port
    return linux.Flow(
        socket.local, socket.remote, socket.device, socket.mark, socket.uid, protocol=protocol, ports=ports
    )


def _underlay(
    links: Mapping[int, Link], rules: Mapping[int, linux.Rules], rerouted: linux.ChangedRoutes
) -> dict[int, int]:
    """The interface that each tunnel's packets are routed to, by index of the tunnel."""
    tunnels = {
        index: link.tunnel
        for index, link in links.items()
        if link.tunnel and link.tunnel[1] and not ipaddress.ip_address(link.tunnel[1]).is_multicast
    }
    tunnels = {index: ends for index, ends in tunnels.items() if not rerouted.include(ends[1])}
    flows = [linux.Flow(*ends, protocol=_UNKNOWN_PROTOCOL) for ends in tunnels.values()]
    routes = linux.read_routes(flows, rules)
    return {index: route.device for index, route in zip(tunnels, routes, strict=True) if route}


def read_via(
    routes: Collection[linux.Route], links: Mapping[int, Link], siblings: Mapping[int, Collection[bytes]]
) -> dict[linux.Route, int]:
    """Which interface below leads to the next hop of a route; without those that are not known.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    bridges = {route: _bridge(route.device, links) for route in routes}
    switching = {route for route in routes if route.device in siblings}
    addresses = linux.read_hardware_addresses(
        [route for route in routes if bridges[route] or route in switching]
    )
    ports = {
        bridge: linux.read_bridge_ports(bridge, set(addresses.values()))
        for bridge in {bridges[route] for route in addresses}
        if bridge
    }
    via = {}
    for route, address in addresses.items():
        bridge = bridges[route]
        if route in switching:
            link = links[route.device]
            if address not in siblings[route.device]:
                via[route] = link.lower or NOTHING_BELOW
            elif address != link.hardware_address:  # else an ipvlan: all on one interface have its address
                via[route] = NOTHING_BELOW
        elif bridge and address in ports[bridge]:
            via[route] = ports[bridge][address]
    return via


def _bridge(index: int, links: Mapping[int, Link]) -> int | None:
    """The index of the bridge that an interface is, or is a vlan of."""
    link = links.get(index)
    if link is not None and link.kind == "vlan" and link.lower in links:
        index, link = link.lower or 0, links[link.lower or 0]
    return index if link is not None and link.kind == "bridge" else None


def sibling_addresses(links: Mapping[int, Link]) -> dict[int, set[bytes]]:
    """The hardware addresses to which a macvlan or ipvlan may deliver without its lower interface, by index.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    lower_of = {
        index: link.lower
        for index, link in links.items()
        if link.delivers_to_siblings and link.lower in links
    }
    addresses = {lower: linux.read_unicast_addresses(lower) for lower in set(lower_of.values()) if lower}
    return {
        index: addresses[lower] | {links[index].hardware_address}
        for index, lower in lower_of.items()
        if lower
    }


def _hidden_siblings(links: Mapping[int, Link], siblings: Mapping[int, Collection[bytes]]) -> frozenset[int]:
    """The interfaces that may deliver packets to those of other network namespaces on the same lower one."""
    visible = {link.hardware_address for link in links.values()}
    return frozenset(
        index
        for index, link in links.items()
        if link.delivers_to_siblings
        and (_has_address_of_lower(link, links) or not visible.issuperset(siblings.get(index, {b""})))
    )


def _has_address_of_lower(link: Link, links: Mapping[int, Link]) -> bool:
    """Whether it is an ipvlan: all on one interface have its hardware address, which identifies none."""
    return link.lower in links and links[link.lower or 0].hardware_address == link.hardware_address
