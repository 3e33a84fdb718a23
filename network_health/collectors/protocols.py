"""Computes the rates of the protocol counters from two readings. Pure.

Guarantees: a counter that went back, or that is missing in one reading, has no rate for that window. Only
CPUs that are in both readings count, because a CPU that comes online keeps its old counters.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from network_health.collectors.collector import MIN_WINDOW_S
from network_health.collectors.ip_traffic import counted_since
from network_health.model import ProtocolCounters, ProtocolReading, Protocols, SoftnetCounters

#: With fewer segments, very few lost ones would be a large share.
MIN_SEGMENTS_PER_S = 100.0


def observe_protocols(before: ProtocolReading | None, after: ProtocolReading) -> Protocols:
    """Rates since ``before``, and the resources in use in ``after``."""
    seconds = after.at_s - before.at_s if before else 0.0
    names = "conntrack", "orphans", "tcp_memory", "busiest_ports", "has_limits"
    in_use = Protocols(**{name: getattr(after, name) for name in names})
    if before is None or seconds < MIN_WINDOW_S:
        return in_use
    then, now = before.counters, after.counters

    def rate(earlier: int | None, later: int | None) -> float | None:
        new = _new(earlier, later)
        return None if new is None else round(new / seconds, 2)

    dropped, squeezed = (_new_by_cpu(before.softnet, after.softnet, name) for name in ("dropped", "squeezed"))
    rates: dict[str, Any] = {
        f"{name}_per_sec": rate(getattr(then, name), getattr(now, name))
        for name in (field.name for field in fields(then))
        if name != "retransmitted_segments"  # reported as a share of all segments
    }
    return replace(
        in_use,
        **rates,
        retransmit_percent=_retransmit_percent(then, now, seconds),
        softnet_dropped_per_sec=rate(0, _sum(dropped)),
        softnet_squeezed_per_sec=rate(0, _sum(squeezed)),
        softnet_dropped_by_cpu=_known(dropped),
        softnet_squeezed_by_cpu=_known(squeezed),
        window_s=seconds,
        ip=counted_since(before.ip, after.ip),
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


def _new_by_cpu(
    before: Mapping[int, SoftnetCounters], after: Mapping[int, SoftnetCounters], name: str
) -> dict[int, int | None]:
    both = sorted(before.keys() & after.keys())
    return {cpu: _new(getattr(before[cpu], name), getattr(after[cpu], name)) for cpu in both}


def _sum(counts: Mapping[int, int | None]) -> int | None:
    known = _known(counts)
    return sum(known.values()) if counts and len(known) == len(counts) else None


def _known(counts: Mapping[int, int | None]) -> dict[int, int]:
    return {cpu: count for cpu, count in counts.items() if count is not None}
