"""Computes the rates of the protocol counters from two readings. Pure.

Guarantees: a counter that went back, or that is missing in one reading, has no rate for that window. Only
CPUs that are in both readings count, because a CPU that comes online keeps its old counters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from network_health.collectors.collector import MIN_WINDOW_S
from network_health.model import ProtocolCounters, ProtocolReading, Protocols, SoftnetCounters

#: With fewer segments, very few lost ones would be a large share.
MIN_SEGMENTS_PER_S = 100.0


def observe_protocols(before: ProtocolReading | None, after: ProtocolReading) -> Protocols:
    """Rates since ``before``, and the resources in use in ``after``."""
    seconds = after.at_s - before.at_s if before else 0.0
    names = "conntrack", "orphans", "tcp_memory", "busiest_ports"
    in_use = Protocols(**{name: getattr(after, name) for name in names})
    if before is None or seconds < MIN_WINDOW_S:
        return in_use
    then, now = before.counters, after.counters

    def rate(earlier: int | None, later: int | None) -> float | None:
        new = _new(earlier, later)
        return None if new is None else round(new / seconds, 2)

    dropped, squeezed = _new_softnet(before.softnet, after.softnet)
    rates: dict[str, Any] = {
        f"{name}_per_sec": rate(getattr(then, name), getattr(now, name))
        for name in (field.name for field in fields(then))
        if name != "retransmitted_segments"  # reported as a share of all segments
    }
    return replace(
        in_use,
        **rates,
        retransmit_percent=_retransmit_percent(then, now, seconds),
        softnet_dropped_per_sec=rate(0, dropped),
        softnet_squeezed_per_sec=rate(0, squeezed),
    )


def _new(earlier: int | None, later: int | None) -> int | None:
    if earlier is None or later is None or later < earlier:
        return None
    return later - earlier


def _retransmit_percent(then: ProtocolCounters, now: ProtocolCounters, seconds: float) -> float | None:
    sent = _new(then.out_segments, now.out_segments)
    again = _new(then.retransmitted_segments, now.retransmitted_segments)
    if sent is None or again is None or sent < MIN_SEGMENTS_PER_S * seconds:
        return None
    return round(again / sent * 100, 2)


def _new_softnet(
    before: Mapping[int, SoftnetCounters], after: Mapping[int, SoftnetCounters]
) -> tuple[int | None, int | None]:
    both = before.keys() & after.keys()
    dropped = [_new(before[cpu].dropped, after[cpu].dropped) for cpu in both]
    squeezed = [_new(before[cpu].squeezed, after[cpu].squeezed) for cpu in both]
    return _sum(dropped), _sum(squeezed)


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if counts and len(known) == len(counts) else None
