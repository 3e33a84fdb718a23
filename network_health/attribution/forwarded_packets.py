"""Computes how many packets of an interface were forwarded, from counters of the host alone. Pure.

Guarantees: the result is a lower bound. A forwarded packet counts only if no other interface can have carried
it, and a sent one only if this host cannot have made it itself: forwarded packets may be dropped before they
are sent.
"""

from __future__ import annotations

from collections.abc import Mapping

from network_health.attribution.evidence import MIN_PERCENT, percent_of
from network_health.attribution.forwarded_flows import Part
from network_health.attribution.interface_paths import SENT, InterfacePaths, Way
from network_health.model import IpCounters

#: One datagram that a process sends can be so many packets: UDP_SEGMENT, or fragments.
_MAX_PACKETS = 128
#: The shortest IP header. A packet to several hosts is counted as forwarded once for each interface.
_SHORTEST = 20


def at_least(
    target: int,
    direction: int,
    paths: InterfacePaths,
    packets: Mapping[int, tuple[int, int]],
    counted: IpCounters,
) -> int:
    """So many packets of the interface ``target`` were forwarded; 0 if that is not known.

    ``packets`` are those of each interface, and ``counted`` what the host counted in the same time.
    """
    external = set(paths.external())
    if target not in packets or not external <= packets.keys():
        return 0
    of_target = packets[target][direction]
    below = external & paths.crossed(Way(target))
    of_below = sum(packets[index][direction] for index in below)
    beside = sum(packets[index][direction] for index in external - below)
    forwarded = counted.forwarded - counted.multicast_octets // _SHORTEST
    found = min(of_target, forwarded - beside - max(of_below - of_target, 0))
    if direction == SENT:
        master = paths.links.get(paths.links[target].master or 0)
        if master is not None and master.kind == "bridge":  # it also sends what the bridge switches
            return 0
        own = counted.datagrams[SENT] + counted.icmp_messages[SENT]
        found = min(found, of_target - counted.segments[SENT] - _MAX_PACKETS * own)
    return max(found, 0)


def part_of(packets: int, of_all: int, hint: str) -> Part | None:
    """The part of a clause about so many forwarded packets ``of_all``; ``None`` if none is known.

    ``hint`` says what would tell more; empty without.
    """
    if not packets:
        return None
    is_large = 100 * packets >= MIN_PERCENT * of_all
    evidence = {"packets": packets, "percent_of_packets": percent_of(packets, of_all)}
    return Part(
        (f"{100 * packets / of_all:.0f}% of packets forwarded",) if is_large else (),
        evidence | ({"hint": hint} if hint else {}),
    )
