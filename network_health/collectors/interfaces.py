"""Computes the rates and new errors of each interface from two readings. Pure.

Guarantees: if counters went back, or the index of a name changed, the interface was created again. It
then has no rate for that window, and its error counts start at its creation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from network_health.collectors.collector import MIN_WINDOW_S
from network_health.model import ErrorCounters, Interface, Link, LinkReading

#: By interface name, the error counters at the last report.
ReportedCounters = Mapping[str, ErrorCounters]

_NOTHING_REPORTED = ErrorCounters(None, 0, 0, 0, 0)


def observe_interfaces(
    before: LinkReading | None,
    reported: ReportedCounters | None,
    after: LinkReading,
    exclude: Sequence[str] = (),
) -> tuple[Interface, ...]:
    """Rates since ``before`` and errors since ``reported``, for every link that is not excluded.

    ``reported`` is ``None`` if nothing is known about earlier checks: errors then count from the creation of
    the interface, with ``since_boot`` set. An interface that is not in ``reported`` is new.
    """
    seconds = after.at_s - before.at_s if before else 0.0
    earlier = {link.name: link for link in before.links} if before else {}
    errors, since_boot = reported or {}, reported is None
    return tuple(
        _interface(
            link, earlier.get(link.name), errors.get(link.name, _NOTHING_REPORTED), seconds, since_boot
        )
        for link in after.links
        if not (exclude and is_excluded(link.name, exclude))
    )


def reported_counters(reading: LinkReading) -> dict[str, ErrorCounters]:
    """The error counters to pass as ``reported`` after ``reading`` was reported."""
    return {
        link.name: ErrorCounters(link.index, now.tx_errors, now.rx_errors, now.drops, now.packets)
        for link in reading.links
        if (now := link.counters)
    }


def is_excluded(name: str, patterns: Sequence[str]) -> bool:
    """Whether ``name`` is one of ``patterns`` or matches one of them as a shell pattern."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def _interface(
    link: Link, before: Link | None, reported: ErrorCounters, seconds: float, since_boot: bool
) -> Interface:
    now = link.counters
    if now is None:
        return Interface(link)
    tx_bytes, rx_bytes, tx_packets, rx_packets, tx_errors, rx_errors, tx_drops, rx_drops = now
    drops, packets = tx_drops + rx_drops, tx_packets + rx_packets
    if (
        packets < reported.packets
        or drops < reported.drops
        or tx_errors < reported.tx_errors
        or rx_errors < reported.rx_errors
        or _is_recreated(reported.index, link.index)
    ):
        reported = _NOTHING_REPORTED
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
        if not reset and seconds >= MIN_WINDOW_S:
            tx_mbps, rx_mbps = round(sent / seconds * 8 / 1e6, 2), round(received / seconds * 8 / 1e6, 2)
    return Interface(
        link,
        tx_mbps,
        rx_mbps,
        tx_errors - reported.tx_errors,
        rx_errors - reported.rx_errors,
        drops - reported.drops,
        packets - reported.packets,
        reset,
        since_boot,
    )


def _is_recreated(index_before: int | None, index: int | None) -> bool:
    """Whether the index of a name changed; False if one of them is unknown."""
    return index_before != index and index_before is not None and index is not None
