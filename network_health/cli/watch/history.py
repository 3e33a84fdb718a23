"""Keeps the peaks of rates and connections of earlier reports, for the sparklines. Pure.

Guarantees: a slot is `SLOT_S` seconds, or a check's interval if that is longer, and has the highest value of
its time. An unknown value is ``None``, never 0. At most `SLOTS` slots are
kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

SLOT_S = 10.0
SLOTS = 60

#: The first part of the names of rates in ``metrics.interfaces``.
Direction = Literal["tx", "rx"]
Rates = tuple[float | None, float | None]
#: One shared object: a host may have thousands of idle interfaces.
_IDLE: Rates = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Slot:
    """The peaks of one slot: (out, in) in Mbps by interface, and the number of sockets."""

    number: int
    rates: Mapping[str, Rates]
    sockets: float | None

    def merged(self, later: _Slot) -> _Slot:
        """The peaks of both."""
        rates = dict(self.rates)
        for name, now in later.rates.items():
            if now is _IDLE:
                rates.setdefault(name, now)
            else:
                before = rates.get(name, _IDLE)
                rates[name] = _highest(before[0], now[0]), _highest(before[1], now[1])
        return _Slot(self.number, rates, _highest(self.sockets, later.sockets))


@dataclass(frozen=True, slots=True)
class History:
    """The known slots, the oldest first; times are in seconds of `time.monotonic`."""

    slot_s: float = SLOT_S
    first_s: float | None = None
    slots: tuple[_Slot, ...] = ()

    def after(self, metrics: Mapping[str, Any], at_s: float) -> History:
        """The history with the ``metrics`` of one more report."""
        first_s = at_s if self.first_s is None else self.first_s
        slot = _Slot(round((at_s - first_s) / self.slot_s), _rates(metrics), metrics.get("total_connections"))
        slots = self.slots
        if slots and slots[-1].number >= slot.number:
            slots = (*slots[:-1], slots[-1].merged(slot))
        else:
            slots = (*slots, slot)
        return History(self.slot_s, first_s, slots[-SLOTS:])

    def rates(self, name: str, direction: Direction, cells: int) -> list[float | None]:
        """The last ``cells`` peaks of an interface in Mbps, the newest last."""
        index = 0 if direction == "tx" else 1
        peaks = [slot.rates.get(name) if slot else None for slot in self._last(cells)]
        return [None if rates is None else rates[index] for rates in peaks]

    def sockets(self, cells: int) -> list[float | None]:
        """The last ``cells`` peaks of the number of connections, the newest last."""
        return [slot.sockets if slot else None for slot in self._last(cells)]

    def peaks(self) -> dict[str, float]:
        """The highest rate of each interface in either direction; interfaces that were idle are left out."""
        highest: dict[str, float] = {}
        for slot in self.slots:
            for name, rates in slot.rates.items():
                if rates is not _IDLE:
                    highest[name] = max(highest.get(name, 0.0), *(rate or 0.0 for rate in rates))
        return highest

    def _last(self, cells: int) -> list[_Slot | None]:
        if not self.slots:
            return [None] * cells
        known = {slot.number: slot for slot in self.slots}
        newest = self.slots[-1].number
        return [known.get(number) for number in range(newest - cells + 1, newest + 1)]


def _rates(metrics: Mapping[str, Any]) -> dict[str, Rates]:
    rates = {}
    for link in metrics.get("interfaces", ()):
        out, into = _highest_rate(link, "tx"), _highest_rate(link, "rx")
        if out is not None or into is not None:
            rates[link["iface"]] = _IDLE if out == into == 0 else (out, into)
    return rates


def _highest_rate(link: Mapping[str, Any], direction: Direction) -> float | None:
    """The rate of the highest second if it is known, else the average; ``None`` if that is unknown, too."""
    field = f"{direction}_rate_mbps"
    average = None if field in link.get("unknown", ()) else float(link[field])
    peak: float | None = link.get(f"{direction}_peak_mbps")
    return average if peak is None else peak


def _highest(one: float | None, other: float | None) -> float | None:
    return max((value for value in (one, other) if value is not None), default=None)
