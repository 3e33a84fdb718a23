"""Computes from tracked flows what this host forwarded, and names source and destination. Pure.

A forwarded flow counts as two sockets, one at each side of the host: what one receives from the source, the
other sends to the destination. So `interface_paths` finds the interfaces that carried it.

Guarantees: a flow with an address of this host at either end is not forwarded. A share has only bytes of the
source and the destination that it names. Behind NAT these are the ones before and after translation: the
source that sends, and the destination that receives.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

from network_health.attribution.evidence import MIN_PERCENT, address_text, endpoint_text, largest, percent_of
from network_health.attribution.interface_paths import SENT, Crossing, bytes_of
from network_health.attribution.process_traffic import OwnedTraffic
from network_health.model import Socket, SocketTraffic, TrackedFlow

#: Flows and the counters of IP are read at slightly different moments.
_TOLERANCE = 1.1
_SLACK_PACKETS = 100
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 47: "gre", 50: "esp", 58: "icmpv6", 132: "sctp"}

#: What a clause may name, if it has half of the bytes.
_KEYS = attrgetter("source", "destination"), attrgetter("source"), attrgetter("destination")

NOT_FORWARDED = "tracked flows have more packets than this host forwarded"


class Endpoint(NamedTuple):
    """A packed address; the port is that of the flow's destination, and 0 at the other end."""

    address: bytes
    port: int


class Pair(NamedTuple):
    """Who sent bytes, and to whom."""

    source: Endpoint
    destination: Endpoint
    protocol: str


class Part(NamedTuple):
    """What a finding says about forwarded bytes; ``texts`` is empty if they are few."""

    texts: tuple[str, ...]
    evidence: Mapping[str, Any]


def forwarded(flows: Iterable[TrackedFlow], own: Container[bytes]) -> list[TrackedFlow]:
    """The flows between other hosts; ``own`` are the addresses of this one."""
    return _of_one_zone(
        flow for flow in flows if flow.original.source not in own and flow.reply.source not in own
    )


def with_own_end(flows: Iterable[TrackedFlow], own: Container[bytes]) -> list[OwnedTraffic]:
    """The flows that end or begin at this host, as its sockets."""
    found = _of_one_zone(flow for flow in flows if flow.original.source in own or flow.reply.source in own)
    return [at_destination(flow) if flow.original.source in own else at_source(flow) for flow in found]


def _of_one_zone(flows: Iterable[TrackedFlow]) -> list[TrackedFlow]:
    """Those of the zone with most bytes: packets may have an entry in each zone that they pass."""
    zones: dict[int, list[TrackedFlow]] = {}
    for flow in flows:
        if _is_unicast(flow.original.source) and _is_unicast(flow.reply.source):
            zones.setdefault(flow.zone, []).append(flow)
    return max(zones.values(), key=lambda each: sum(f.sent + f.received for f in each), default=[])


def is_possible(flows: Iterable[TrackedFlow], packets: int) -> bool:
    """Whether flows can be what this host forwarded: so many packets.

    Else packets of them were dropped, or it received them itself (a transparent proxy). Those of offloaded
    flows are not counted as forwarded.
    """
    tracked = sum(flow.packets for flow in flows if not flow.is_offloaded)
    return tracked <= _TOLERANCE * packets + _SLACK_PACKETS


def at_destination(flow: TrackedFlow) -> OwnedTraffic:
    """The flow as a socket towards its destination: it sends what the source sends."""
    protocol = _PROTOCOLS.get(flow.protocol, str(flow.protocol))
    source, destination, port = flow.original.source, flow.reply.source, flow.reply.source_port
    socket = Socket("", source, 0, destination, port, 0, 0)
    return SocketTraffic(socket, flow.sent, flow.received, protocol), None


def at_source(flow: TrackedFlow) -> OwnedTraffic:
    """The flow as a socket towards its source: it sends what the destination sends."""
    protocol = _PROTOCOLS.get(flow.protocol, str(flow.protocol))
    source, destination, port = flow.original.source, flow.reply.source, flow.reply.source_port
    socket = Socket("", destination, port, source, 0, 0, 0)
    return SocketTraffic(socket, flow.received, flow.sent, protocol), None


def part_of(
    crossings: Sequence[Crossing], direction: int, carried: int, count: int, places: Mapping[bytes, str]
) -> Part:
    """The parts of a clause, and the evidence, of an interface that ``carried`` so many bytes.

    ``places`` has the container, or another network namespace, of each address that is known to be in one.
    The evidence lists at most ``count`` pairs.
    """
    pairs, total = Counter[Pair](), 0
    for crossing in crossings:
        of_crossing = _pairs(crossing, direction)
        total += max(of_crossing.total() - crossing.elsewhere, 0)
        # It is not known of which pair the bytes elsewhere are.
        pairs.update({pair: n - crossing.elsewhere for pair, n in of_crossing.items()})
    total = min(total, carried)
    pairs = Counter({pair: min(n, total) for pair, n in pairs.items() if n > 0})
    listed = [
        {
            "source": address_text(pair.source.address),
            "source_port": pair.source.port or None,
            "destination": address_text(pair.destination.address),
            "port": pair.destination.port or None,
            "protocol": pair.protocol,
            "bytes": octets,
            "percent": percent_of(octets, carried),
            **_places(pair, places),
        }
        for pair, octets in largest(pairs, count)
    ]
    evidence = {"bytes": total, "percent": percent_of(total, carried), "flows": listed}
    return Part(tuple(_texts(pairs, total, carried, places)), evidence)


def largest_ends(crossings: Iterable[Crossing], direction: int) -> list[bytes]:
    """The addresses at both ends, those with most bytes first."""
    octets = Counter[bytes]()
    for crossing in crossings:
        for each, _ in crossing.traffic:
            for address in (each.socket.local, each.socket.remote):
                octets[address] += bytes_of(each, direction)
    return [address for address, n in octets.most_common() if n]


def _pairs(crossing: Crossing, direction: int) -> Counter[Pair]:
    found = Counter[Pair]()
    for each, _ in crossing.traffic:
        here = Endpoint(each.socket.local, each.socket.local_port)
        there = Endpoint(each.socket.remote, each.socket.remote_port)
        pair = (here, there) if direction == SENT else (there, here)
        found[Pair(*pair, each.protocol)] += bytes_of(each, direction)
    return found


def _texts(pairs: Counter[Pair], total: int, carried: int, places: Mapping[bytes, str]) -> Iterator[str]:
    """Of the pair, the source or the destination that has half of all bytes; then of the rest."""
    main = _main(pairs, total)
    of_main = min(sum(pairs[pair] for pair in main), total)
    for group, octets in ((main, of_main), (pairs.keys() - main, total - of_main)):
        if octets and 100 * octets >= MIN_PERCENT * carried:
            is_known = sum(pairs[pair] for pair in group) >= octets
            between = _between(group, places) if is_known else ""
            yield f"{100 * octets / carried:.0f}% forwarded{between}"


def _main(pairs: Counter[Pair], total: int) -> set[Pair]:
    for key_of in _KEYS:
        octets = Counter[object]()
        for pair, n in pairs.items():
            octets[key_of(pair)] += n
        for key, n in octets.most_common(1):
            if 2 * n >= total:
                return {pair for pair in pairs if key_of(pair) == key}
    return set()


def _between(pairs: Collection[Pair], places: Mapping[bytes, str]) -> str:
    """`` from 10.1.0.2 to 3 destinations``."""
    sources = {_text(pair.source, places) for pair in pairs}
    destinations = {_text(pair.destination, places) for pair in pairs}
    source = sources.pop() if len(sources) == 1 else f"{len(sources)} sources"
    to = destinations.pop() if len(destinations) == 1 else f"{len(destinations)} destinations"
    return f" from {source} to {to}"


def _text(endpoint: Endpoint, places: Mapping[bytes, str]) -> str:
    text = endpoint_text({"address": address_text(endpoint.address), "port": endpoint.port})
    place = places.get(endpoint.address)
    return f"{text} in {place}" if place else text


def _places(pair: Pair, places: Mapping[bytes, str]) -> dict[str, str]:
    ends = {"source_namespace": pair.source, "destination_namespace": pair.destination}
    return {key: places[end.address] for key, end in ends.items() if end.address in places}


def _is_unicast(address: bytes) -> bool:
    found = ipaddress.ip_address(address)
    is_broadcast = address == b"\xff\xff\xff\xff"
    return not (found.is_multicast or found.is_loopback or found.is_unspecified or is_broadcast)
