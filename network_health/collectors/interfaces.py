"""Computes the rates and new errors of each interface from two readings. Pure.

Guarantees:
- An interface is the same as before if its index is the same; a new name changes nothing.
- Each counter is compared separately, as `network_health.collectors.counters` says.
- A physical interface has no rate above its link speed: such a rate is unknown.
- New errors of a new interface are counted from the counters in the kernel's announcement. Without an
  announcement they are counted from its first reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from network_health.collectors.collector import MIN_WINDOW_S
from network_health.collectors.counters import Increases, increases, is_return
from network_health.model import Baseline, Counters, Interface, Link, LinkKey, LinkReading

#: By interface, the counters at the last report.
ReportedCounters = Mapping[LinkKey, Baseline]

_NOTHING_REPORTED = Baseline(Counters())
#: The rates and new counts of an interface without counters.
_UNKNOWN = (None,) * 9


def observe_interfaces(
    before: LinkReading | None,
    reported: ReportedCounters | None,
    after: LinkReading,
    exclude: Sequence[str] = (),
) -> tuple[Interface, ...]:
    """Rates since ``before`` and errors since ``reported``, for every link that is not excluded.

    ``reported`` is ``None`` if nothing is known about earlier checks: errors then count from the creation of
    the interface, with ``since_boot`` set.
    """
    seconds = after.at_s - before.at_s if before else 0.0
    earlier = _baselines(before) if before else {}
    names = {link.name for link in before.links} if before else set()
    return tuple(
        _interface(
            link,
            earlier.get(link.key),
            _reported(link, reported, after.announced),
            seconds,
            since_boot=reported is None,
            is_recreated=link.key not in earlier and link.name in names,
        )
        for link in after.links
        if not (exclude and is_excluded(link.name, exclude))
    )


def reported_counters(reading: LinkReading) -> dict[LinkKey, Baseline]:
    """The counters to pass as ``reported`` after ``reading`` was reported."""
    return _baselines(reading)


def is_excluded(name: str, patterns: Sequence[str]) -> bool:
    """Whether ``name`` is one of ``patterns`` or matches one of them as a shell pattern."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def is_above_link_speed(mbps: float, link: Link) -> bool:
    """Whether a physical interface cannot have this rate."""
    return link.kind == "" and link.speed_mbps is not None and mbps > link.speed_mbps


def _baselines(reading: LinkReading) -> dict[LinkKey, Baseline]:
    baselines = {link.key: Baseline(link.counters) for link in reading.links if link.counters}
    for key, known in reading.went_back.items():
        baselines[key] = Baseline(baselines[key].counters, known.highest)
    return baselines


def _reported(
    link: Link, reported: ReportedCounters | None, announced: Mapping[int, Counters]
) -> Baseline | None:
    """What the errors of ``link`` are compared with; ``None`` if its history is unknown."""
    if reported is None:
        return _NOTHING_REPORTED
    if link.key in reported:
        return reported[link.key]
    if link.index is not None and link.index in announced:
        return Baseline(announced[link.index])
    return None


def _interface(
    link: Link,
    before: Baseline | None,
    reported: Baseline | None,
    seconds: float,
    *,
    since_boot: bool,
    is_recreated: bool,
) -> Interface:
    now = link.counters
    if now is None:
        return Interface(link, *_UNKNOWN)
    tx_mbps = rx_mbps = None
    grown = increases(before, now) if before else ()
    if before and seconds >= MIN_WINDOW_S:
        tx_mbps = None if is_return(before, now, 0) else _mbps(grown[0], seconds, link)
        rx_mbps = None if is_return(before, now, 1) else _mbps(grown[1], seconds, link)
    is_same_window = before == reported
    new = grown if is_same_window and grown else _new(reported, now)
    _, _, tx_packets, rx_packets, tx_errors, rx_errors, tx_drops, rx_drops, rx_missed = new
    return Interface(
        link,
        tx_mbps,
        rx_mbps,
        tx_errors,
        rx_errors,
        tx_drops,
        rx_drops,
        rx_missed,
        tx_packets,
        rx_packets,
        is_recreated or None in grown,
        since_boot,
        seconds if seconds and not since_boot and (is_same_window or before is None) else None,
    )


def _new(reported: Baseline | None, now: Counters) -> Increases:
    """What was not reported yet. Without a known history only a counter that is 0 is known."""
    if reported is None:
        return tuple(None if count else 0 for count in now)
    return increases(reported, now)


def _mbps(octets: int | None, seconds: float, link: Link) -> float | None:
    if octets is None:
        return None
    mbps = round(octets / seconds * 8 / 1e6, 2)
    return None if is_above_link_speed(mbps, link) else mbps
