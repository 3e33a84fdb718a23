"""Collector 1: what happened on each interface between two readings. Pure.

Laws: a window never mixes two lives of an interface. Counters that went back, or an index that
changed under the same name, mean that the interface was created again: no rate for that window, and
its error counts run from its creation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from network_health.model import Counters, ErrorMark, Interface, Link, LinkReading

__all__ = ["SHORTEST_WINDOW_S", "Marks", "marks", "observe"]

#: Below this a rate says more about the two reads than about the traffic.
SHORTEST_WINDOW_S = 0.1

#: Per interface name, the error counters up to which everything has been reported.
Marks = Mapping[str, ErrorMark]

_NOTHING_REPORTED = ErrorMark(None, 0, 0, 0, 0)


def observe(
    before: LinkReading | None, reported: Marks | None, after: LinkReading, exclude: Sequence[str] = ()
) -> tuple[Interface, ...]:
    """Rates since ``before`` and errors since ``reported``, for every link not excluded.

    ``reported`` is ``None`` when nothing is known of earlier checks: then errors run from each
    interface's creation and are marked ``since_boot``. An interface that is not in ``reported`` is
    new, so that all its counts fall in this window.
    """
    seconds = after.at_s - before.at_s if before else 0.0
    earlier = {link.name: link for link in before.links} if before else {}
    return tuple(
        _interface(link, earlier.get(link.name), reported, seconds)
        for link in after.links
        if not _excluded(link.name, exclude)
    )


def marks(reading: LinkReading) -> dict[str, ErrorMark]:
    """What counts as reported once ``reading`` has been."""
    return {
        link.name: ErrorMark(
            link.index,
            link.counters.tx_errors,
            link.counters.rx_errors,
            link.counters.drops,
            link.counters.packets,
        )
        for link in reading.links
        if link.counters
    }


def _excluded(name: str, patterns: Sequence[str]) -> bool:
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _interface(link: Link, before: Link | None, reported: Marks | None, seconds: float) -> Interface:
    now = link.counters
    if now is None:
        return Interface(link)
    mark = (reported or {}).get(link.name, _NOTHING_REPORTED)
    if _is_another_life(mark, link.index, now):
        mark = _NOTHING_REPORTED
    reset = before is not None and before.counters is not None and _was_reset(before, link)
    tx_mbps = rx_mbps = None
    if before and before.counters and not reset and seconds >= SHORTEST_WINDOW_S:
        tx_mbps = _mbps(now.tx_bytes - before.counters.tx_bytes, seconds)
        rx_mbps = _mbps(now.rx_bytes - before.counters.rx_bytes, seconds)
    return Interface(
        link=link,
        tx_mbps=tx_mbps,
        rx_mbps=rx_mbps,
        new_tx_errors=now.tx_errors - mark.tx_errors,
        new_rx_errors=now.rx_errors - mark.rx_errors,
        new_drops=now.drops - mark.drops,
        new_packets=now.packets - mark.packets,
        counters_reset=reset,
        since_boot=reported is None,
    )


def _was_reset(before: Link, after: Link) -> bool:
    then, now = before.counters or Counters(), after.counters or Counters()
    recreated = None not in (before.index, after.index) and before.index != after.index
    return (
        recreated
        or now.tx_bytes < then.tx_bytes
        or now.rx_bytes < then.rx_bytes
        or now.tx_packets < then.tx_packets
        or now.rx_packets < then.rx_packets
    )


def _is_another_life(mark: ErrorMark, index: int | None, now: Counters) -> bool:
    return (
        (None not in (mark.index, index) and mark.index != index)
        or now.tx_errors < mark.tx_errors
        or now.rx_errors < mark.rx_errors
        or now.drops < mark.drops
        or now.packets < mark.packets
    )


def _mbps(octets: int, seconds: float) -> float:
    return round(octets / seconds * 8 / 1e6, 2)
