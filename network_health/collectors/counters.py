"""Compares the counters of an interface in two readings, each counter separately. Pure.

Guarantees:
- A counter that went back has no increase. What was counted in that window is unknown.
- If it reaches its earlier value again within `HICCUP_S`, and did not increase in between, the low value was
  wrong: its increase is counted from the earlier value. Otherwise it was reset: its increase is counted from
  the low value.
- A 32-bit counter that wrapped has its true increase. A counter has wrapped if all counters of the interface
  are below 2^32, and if bytes and packets of its direction allow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import le, sub

from network_health.model import Baseline, Counters, LinkKey, LinkReading, WentBack

#: How long an earlier, higher value is remembered.
HICCUP_S = 120.0

#: In the order of `Counters`; ``None`` is unknown.
Increases = tuple[int | None, ...]

_RANGE = 1 << 32
#: The positions of bytes and packets of each direction in `Counters`.
_DIRECTIONS = (0, 2), (1, 3)
#: Segmentation offload counts up to 64 KiB as one packet.
_MAX_PACKET_BYTES = 1 << 16


def increases(before: Baseline, now: Counters) -> Increases:
    """The increase of each counter since ``before``."""
    then, highest = before
    if highest is None and all(map(le, then, now)):
        return tuple(map(sub, now, then))
    wrapped = dict(_wrapped(then, now))
    return tuple(
        wrapped.get(i, _increase(then[i], (highest or then)[i], value)) for i, value in enumerate(now)
    )


def is_return(before: Baseline, now: Counters, position: int) -> bool:
    """Whether one counter went back before and has reached its earlier value now."""
    then, highest = before
    return highest is not None and then[position] < highest[position] <= now[position]


def with_history(before: LinkReading | None, after: LinkReading) -> LinkReading:
    """``after`` with ``went_back``."""
    if before is None:
        return after
    went_back = find_went_back(counters_of(before), before.went_back, counters_of(after), after.at_s)
    return replace(after, went_back=went_back) if went_back else after


def counters_of(reading: LinkReading) -> dict[LinkKey, Counters]:
    """The counters of the interfaces that have some."""
    return {link.key: link.counters for link in reading.links if link.counters is not None}


def find_went_back(
    before: Mapping[LinkKey, Counters],
    known_before: Mapping[LinkKey, WentBack],
    after: Mapping[LinkKey, Counters],
    at_s: float,
) -> dict[LinkKey, WentBack]:
    """The ``went_back`` of the counters ``after``, which were read at ``at_s``."""
    went_back = {}
    for key, now in after.items():
        then, known = before.get(key), known_before.get(key)
        if then is None or (known is None and (now is then or all(map(le, then, now)))):
            continue
        found = _went_back(then, known, now, at_s)
        if found:
            went_back[key] = found
    return went_back


def _increase(then: int, highest: int, now: int) -> int | None:
    if now >= highest:
        return now - highest
    return None if now < then else now - then


def _went_back(then: Counters, known: WentBack | None, now: Counters, at_s: float) -> WentBack | None:
    wrapped = dict(_wrapped(then, now))
    highest = list(now)
    again = known is None
    for i, value in enumerate(now):
        before = known.highest[i] if known else then[i]
        if i not in wrapped and value < before and value <= then[i]:
            highest[i] = before
            again = again or value < then[i]
    since_s = at_s if again or known is None else known.at_s
    if tuple(highest) == now or at_s - since_s > HICCUP_S:
        return None
    return WentBack(Counters(*highest), since_s)


def _wrapped(then: Counters, now: Counters) -> Iterator[tuple[int, int]]:
    """The position and the increase of each counter that wrapped."""
    if max(*then, *now) >= _RANGE:
        return
    for octets, packets in _DIRECTIONS:
        new_octets, new_packets = now[octets] - then[octets], now[packets] - then[packets]
        if (new_octets < 0) == (new_packets < 0):  # nothing went back, or both did: the counters were reset
            continue
        if new_octets < 0:
            position, increase, most = octets, new_octets + _RANGE, new_packets * _MAX_PACKET_BYTES
        else:
            position, increase, most = packets, new_packets + _RANGE, new_octets
        if increase < _RANGE // 2 and increase <= most:
            yield position, increase
