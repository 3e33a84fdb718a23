"""Computes what the bytes without a known process are made of, from the counters of the host. Pure.

Guarantees: each part is a lower bound, and no byte is in two of them: ``headers`` are those of this host's
TCP segments, ``forwarded`` is what IP handled for other hosts, and ``other_namespaces`` what it did not see.
"""

from __future__ import annotations

from collections.abc import Mapping

from network_health.attribution.interface_paths import RECEIVED, SENT, InterfacePaths
from network_health.attribution.traffic_window import Window
from network_health.model import IpCounters, Link, TrafficPart

#: The shortest headers of IPv4 and TCP; the longest usual ones.
_SHORTEST, _LONGEST = 40, 80
#: The largest packet, also of several that the kernel merged, with its Ethernet header.
_LARGEST = 65_553
#: The headers of Ethernet with a vlan, and those that a tunnel adds to a packet.
_LINK_HEADER = 18
_TUNNEL_HEADERS = 100
#: Sockets, IP and interfaces are read at slightly different moments.
_TOLERANCE = 1.1


def parts_of(window: Window, links: Mapping[int, Link]) -> tuple[TrafficPart, ...]:
    """The parts that are known without routes; ``links`` are the interfaces of the host by index."""
    counted, paths = window.counted, InterfacePaths(links)
    again = paths.carried_again()
    if counted is None or not again <= window.carried.keys() & window.packets.keys():
        return ()
    tunneled = sum(window.packets[index][SENT] for index in again)
    return (
        TrafficPart("headers", *_headers(counted, tunneled)),
        TrafficPart("forwarded", *_forwarded(window, counted, paths)),
        TrafficPart("other_namespaces", *_other_namespaces(window, counted, paths)),
    )


def _headers(counted: IpCounters, tunneled: int) -> tuple[int, int]:
    """What is sent in one packet may be many segments: it has the headers of one on some interfaces."""
    others = counted.datagrams[SENT] + counted.icmp_messages[SENT] + tunneled
    sent = min(counted.segments[SENT], max(counted.packets[SENT] - others, 0))
    return _SHORTEST * sent, _SHORTEST * counted.segments[RECEIVED]


def _forwarded(window: Window, counted: IpCounters, paths: InterfacePaths) -> tuple[int, int]:
    """What arrived that the host itself cannot have got; of that, what left that it cannot have made."""
    segments, datagrams = counted.segments[RECEIVED], counted.datagrams[RECEIVED]
    messages = counted.icmp_messages[RECEIVED]
    tcp = segments * _LARGEST
    if window.is_whole and not counted.aborted:
        tcp = int(_TOLERANCE * sum(each.received for each in window.traffic)) + segments * _LONGEST
    others = max(counted.packets[RECEIVED] - segments - datagrams - messages, 0)
    delivered = tcp + _LARGEST * (datagrams + messages + others + counted.undelivered)
    own = delivered + counted.multicast_octets + _tunneled(window, paths, RECEIVED)
    received = min(max(counted.octets[RECEIVED] - own, 0), counted.forwarded * _LARGEST)
    external = paths.external()
    if not set(external) <= window.carried.keys():
        return 0, received
    mtu = max((paths.links[index].mtu or _LARGEST for index in external), default=0)
    made = counted.segments[SENT] * (mtu + _LINK_HEADER) + _tunneled(window, paths, SENT)
    made += _LARGEST * (counted.datagrams[SENT] + counted.icmp_messages[SENT])
    carried = sum(window.carried[index][SENT] for index in external)
    return min(received, max(carried - made, 0)), received


def _tunneled(window: Window, paths: InterfacePaths, direction: int) -> int:
    """What IP counts again: the packets of a tunnel as they are, and with the headers of the tunnel."""
    return sum(
        2 * window.carried[index][direction] + _TUNNEL_HEADERS * window.packets[index][direction]
        for index in paths.carried_again()
    )


def _other_namespaces(window: Window, counted: IpCounters, paths: InterfacePaths) -> tuple[int, int]:
    """What veths to other namespaces carried, beyond all that this one's IP sent and received."""
    veths = [
        index
        for index in paths.lowest(paths.links)
        if paths.links[index].peer_namespace is not None
        and index in window.carried.keys() & window.packets.keys()
    ]

    def beyond(direction: int) -> int:
        octets = sum(window.carried[index][direction] for index in veths)
        headers = _LINK_HEADER * sum(window.packets[index][direction] for index in veths)
        return max(octets - headers - counted.octets[direction], 0)

    return beyond(SENT), beyond(RECEIVED)
