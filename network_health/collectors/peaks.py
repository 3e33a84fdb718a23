"""Finds the highest second of each interface between two checks. Pure.

Guarantees:
- A peak is never above what was carried: a second lasts from the start of one reading to the end of the next.
- What is counted in no second of its own belongs to a longer one: no byte is left out.
- A peak is unknown where the rate of the whole window is; if a counter went back in the window, as
  `network_health.collectors.counters` says; for an interface that was added or away in the window; and for
  all interfaces if there was no reading in a window of more than `LONGEST_SECOND_S`.
- A physical interface has no peak above its link speed: such a peak is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from network_health.collectors.collector import MIN_WINDOW_S
from network_health.collectors.counters import counters_of, find_went_back, increases, is_return
from network_health.collectors.interfaces import is_above_link_speed
from network_health.model import Baseline, CounterReading, Counters, Interface, LinkKey, LinkReading

#: A reading that comes sooner after the previous one is not used: in a shorter time any traffic has bursts.
SHORTEST_SECOND_S = 0.9
LONGEST_SECOND_S = 2.0

_IDLE = (0, 0)


class Peaks:
    """The peaks since a check, whose reading was ``start``."""

    def __init__(self, start: LinkReading) -> None:
        self._earlier: CounterReading | None = None
        self._last = CounterReading(start.at_s, start.at_s, counters_of(start), start.went_back)
        #: By interface: bits per second out and in.
        self._highest: dict[LinkKey, tuple[float, float]] = {}
        self._unknown: set[LinkKey] = set()

    def add(self, now: CounterReading) -> None:
        """Count the second that ends with this reading."""
        last = self._last
        if now.at_s - last.at_s < SHORTEST_SECOND_S:
            return
        unusual = self._count(last, now.counters, now.until_s)
        if unusual:
            went_back = find_went_back(last.counters, last.went_back, unusual, now.at_s)
            now = replace(now, went_back=went_back)
        self._earlier, self._last = last, now

    def finish(self, end: LinkReading, interfaces: tuple[Interface, ...]) -> tuple[Interface, ...]:
        """The interfaces of the check that ``end`` was read for, with their peaks."""
        first = self._last
        if self._earlier and end.at_s - first.at_s < SHORTEST_SECOND_S:
            first = self._earlier
        seconds = end.at_s - first.at_s
        if seconds < MIN_WINDOW_S or (self._earlier is None and seconds > LONGEST_SECOND_S):
            return interfaces
        self._count(first, counters_of(end), end.at_s if end.until_s is None else end.until_s)
        return tuple(map(self._with_peaks, interfaces))

    def _count(
        self, before: CounterReading, counters: Mapping[LinkKey, Counters], until_s: float
    ) -> dict[LinkKey, Counters]:
        """Count one second; returns the counters that went back in it or before."""
        seconds = until_s - before.at_s
        unusual = {key: counters[key] for key in before.went_back if key in counters}
        for key, now in counters.items():
            then = before.counters.get(key)
            if now is then:
                continue
            if then is None:
                self._unknown.add(key)
                continue
            # Not `increases` for each interface: it takes three times as long, once a second.
            sent, received = now.tx_bytes - then.tx_bytes, now.rx_bytes - then.rx_bytes
            if sent < 0 or received < 0 or key in unusual:
                unusual[key] = now
                known = before.went_back.get(key)
                baseline = Baseline(then, known.highest if known else None)
                increase = increases(baseline, now)
                if None in increase[:2] or is_return(baseline, now, 0) or is_return(baseline, now, 1):
                    self._unknown.add(key)
                    continue
                sent, received = increase[0] or 0, increase[1] or 0
            highest = self._highest.get(key, _IDLE)
            self._highest[key] = max(highest[0], sent * 8 / seconds), max(highest[1], received * 8 / seconds)
        return unusual

    def _with_peaks(self, interface: Interface) -> Interface:
        key = interface.link.key
        if key in self._unknown:
            return interface
        tx, rx = self._highest.get(key, _IDLE)
        return interface._replace(
            tx_peak_mbps=_peak(tx, interface.tx_mbps, interface),
            rx_peak_mbps=_peak(rx, interface.rx_mbps, interface),
        )


def _peak(bits_per_s: float, average_mbps: float | None, interface: Interface) -> float | None:
    if average_mbps is None:
        return None
    mbps = max(round(bits_per_s / 1e6, 2), average_mbps)
    return None if is_above_link_speed(mbps, interface.link) else mbps
