"""Collector 1: what happened on each interface between two readings. Pure.

Laws: a window never mixes two lives of an interface. Counters that went back, or an index that
changed under the same name, mean that the interface was created again: no rate for that window, and
its error counts run from its creation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from network_health.model import ErrorCounters, Interface, Link, LinkReading

#: Below this a rate says more about the two reads than about the traffic.
SHORTEST_WINDOW_S = 0.1

#: Per interface name, the error counters up to which everything has been reported.
ReportedCounters = Mapping[str, ErrorCounters]

_NOTHING_REPORTED = ErrorCounters(None, 0, 0, 0, 0)


def observe_interfaces(
    before: LinkReading | None,
    reported: ReportedCounters | None,
    after: LinkReading,
    exclude: Sequence[str] = (),
) -> tuple[Interface, ...]:
    """Rates since ``before`` and errors since ``reported``, for every link not excluded.

    ``reported`` is ``None`` when nothing is known of earlier checks: then errors run from each
    interface's creation and are marked ``since_boot``. An interface that is not in ``reported`` is
    new, so that all its counts fall in this window.
    """
    seconds = after.at_s - before.at_s if before else 0.0
    earlier = {link.name: link for link in before.links} if before else {}
    told = reported or {}
    seen = []
    for link in after.links:
        if exclude and is_excluded(link.name, exclude):
            continue
        mark = told.get(link.name, _NOTHING_REPORTED)
        seen.append(_interface(link, earlier.get(link.name), mark, seconds, reported is None))
    return tuple(seen)


def reported_counters(reading: LinkReading) -> dict[str, ErrorCounters]:
    """What counts as reported once ``reading`` has been."""
    return {
        link.name: ErrorCounters(
            link.index,
            link.counters.tx_errors,
            link.counters.rx_errors,
            link.counters.drops,
            link.counters.packets,
        )
        for link in reading.links
        if link.counters
    }


def is_excluded(name: str, patterns: Sequence[str]) -> bool:
    """Whether ``name`` is one of the names, or fits one of the shell patterns, in ``patterns``."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _interface(
    link: Link, before: Link | None, mark: ErrorCounters, seconds: float, since_boot: bool
) -> Interface:
    now = link.counters
    if now is None:
        return Interface(link)
    tx_bytes, rx_bytes, tx_packets, rx_packets, tx_errors, rx_errors, tx_drops, rx_drops = now
    drops, packets = tx_drops + rx_drops, tx_packets + rx_packets
    if (
        packets < mark.packets
        or drops < mark.drops
        or tx_errors < mark.tx_errors
        or rx_errors < mark.rx_errors
        or _is_recreated(mark.index, link.index)
    ):
        mark = _NOTHING_REPORTED
    tx_mbps = rx_mbps = None
    reset = False
    if before is not None and before.counters is not None:
        tx_bytes_then, rx_bytes_then, tx_packets_then, rx_packets_then, *_ = before.counters
        sent, received = tx_bytes - tx_bytes_then, rx_bytes - rx_bytes_then
        reset = (
            sent < 0
            or received < 0
            or tx_packets < tx_packets_then
            or rx_packets < rx_packets_then
            or _is_recreated(before.index, link.index)
        )
        if not reset and seconds >= SHORTEST_WINDOW_S:
            tx_mbps, rx_mbps = round(sent / seconds * 8 / 1e6, 2), round(received / seconds * 8 / 1e6, 2)
    return Interface(
        link,
        tx_mbps,
        rx_mbps,
        tx_errors - mark.tx_errors,
        rx_errors - mark.rx_errors,
        drops - mark.drops,
        packets - mark.packets,
        reset,
        since_boot,
    )


def _is_recreated(index_before: int | None, index: int | None) -> bool:
    """Another index under the same name; one that is unknown tells nothing."""
    return index_before != index and index_before is not None and index is not None
