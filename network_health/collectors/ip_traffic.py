"""Compares two readings of the IP counters. Pure."""

from __future__ import annotations

from network_health.model import IpCounters


def counted_since(before: IpCounters | None, now: IpCounters | None) -> IpCounters | None:
    """What was counted since ``before``; ``None`` if a counter is not known, or went back."""
    if before is None or now is None:
        return None
    counted = IpCounters(
        octets=_since(before.octets, now.octets),
        multicast_octets=now.multicast_octets - before.multicast_octets,
        datagrams=_since(before.datagrams, now.datagrams),
        icmp_messages=_since(before.icmp_messages, now.icmp_messages),
        segments=_since(before.segments, now.segments),
        forwarded=now.forwarded - before.forwarded,
        # A packet is delivered a moment after it was received, so this one may go back.
        undelivered=max(now.undelivered - before.undelivered, 0),
        aborted=now.aborted - before.aborted,
        packets=_since(before.packets, now.packets),
    )
    sent_and_received = (
        counted.octets,
        counted.datagrams,
        counted.icmp_messages,
        counted.segments,
        counted.packets,
    )
    numbers = *map(min, sent_and_received), counted.multicast_octets, counted.forwarded, counted.aborted
    return counted if min(numbers) >= 0 else None


def _since(before: tuple[int, int], now: tuple[int, int]) -> tuple[int, int]:
    return now[0] - before[0], now[1] - before[1]
