"""Asks the kernel which interfaces carried the traffic of a window: routes, and how interfaces are stacked.

Guarantees: at most `linux.MAX_ROUTES` routes are looked up; the sockets with most bytes are first.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

from network_health.attribution.interface_paths import InterfacePaths
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.model import Link
from network_health.sources import linux


def read_paths() -> InterfacePaths:
    """The interfaces of the calling thread's network namespace.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    links = linux.read_links()
    return InterfacePaths(links, _underlay(links), _hidden_siblings(links))


def read_routed(traffic: Sequence[OwnedTraffic]) -> dict[int, list[OwnedTraffic]]:
    """The traffic by the index of the interface that it is routed to; without that whose route is unknown.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    ordered = sorted(traffic, key=lambda each: -each[0].sent - each[0].received)
    flows = [
        linux.Flow(
            each.local,
            each.remote,
            each.device,
            each.mark,
            each.uid,
            ports=(each.local_port, each.remote_port),
        )
        for each in (owned[0].socket for owned in ordered)
    ]
    routed: dict[int, list[OwnedTraffic]] = {}
    for owned, device in zip(ordered, linux.read_output_devices(flows), strict=True):
        if device is not None:
            routed.setdefault(device, []).append(owned)
    return routed


def _underlay(links: Mapping[int, Link]) -> dict[int, int]:
    """The interface that each tunnel's packets are routed to, by index of the tunnel."""
    tunnels = {
        index: link.tunnel
        for index, link in links.items()
        if link.tunnel and link.tunnel[1] and not ipaddress.ip_address(link.tunnel[1]).is_multicast
    }
    flows = [linux.Flow(local, remote) for local, remote in tunnels.values()]
    devices = zip(tunnels, linux.read_output_devices(flows), strict=True)
    return {index: device for index, device in devices if device is not None}


def _hidden_siblings(links: Mapping[int, Link]) -> frozenset[int]:
    """The interfaces that may deliver packets to those of other network namespaces on the same lower one."""
    siblings: dict[int, list[int]] = {}
    for index, link in links.items():
        if link.lower in links and link.delivers_to_siblings:
            siblings.setdefault(link.lower or 0, []).append(index)
    hidden: list[int] = []
    for lower, uppers in siblings.items():
        known = {link.hardware_address for link in links.values() if link.lower == lower}
        # An ipvlan has the hardware address of its lower interface, so its siblings cannot be told apart.
        shares_address = any(links[each].hardware_address == links[lower].hardware_address for each in uppers)
        if shares_address or linux.read_unicast_addresses(lower) - known:
            hidden += uppers
    return frozenset(hidden)
