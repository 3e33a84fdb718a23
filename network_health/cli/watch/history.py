"""What a live view keeps of earlier reports: peaks of rates and of connections, for sparklines. Pure.

Laws: one cell of a sparkline is one slot of `SLOT_S` seconds or of a check's interval, whichever is longer,
and shows the highest value that was seen in it. What was not seen is ``None``, never 0. At most `SLOTS`
slots are kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SLOT_S = 10.0
SLOTS = 60

#: From nothing at all to the limit.
BLOCK_LEVELS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.-:=+*#"

Way = Literal["tx_rate_mbps", "rx_rate_mbps"]
Rates = tuple[float, float]
_IDLE: Rates = (0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Slot:
    """The peaks of one stretch of time: (out, in) in Mbps by interface, and sockets."""

    number: int
    rates: Mapping[str, Rates]
    sockets: int | None

    def joined(self, later: _Slot) -> _Slot:
        """The peaks of both."""
        rates = dict(self.rates)
        for name, now in later.rates.items():
            if now is _IDLE:
                rates.setdefault(name, now)
            else:
                then = rates.get(name, _IDLE)
                rates[name] = max(then[0], now[0]), max(then[1], now[1])
        known = [count for count in (self.sockets, later.sockets) if count is not None]
        return _Slot(self.number, rates, max(known, default=None))


@dataclass(frozen=True, slots=True)
class History:
    """The slots that are known, the oldest first; times are `time.monotonic` seconds."""

    slot_s: float = SLOT_S
    first_s: float | None = None
    slots: tuple[_Slot, ...] = ()

    def after(self, metrics: Mapping[str, Any], at_s: float) -> History:
        """The history with one more report's ``metrics``, seen at ``at_s``."""
        first_s = at_s if self.first_s is None else self.first_s
        slot = _Slot(round((at_s - first_s) / self.slot_s), _rates(metrics), metrics.get("total_connections"))
        slots = self.slots
        if slots and slots[-1].number >= slot.number:
            slots = (*slots[:-1], slots[-1].joined(slot))
        else:
            slots = (*slots, slot)
        return History(self.slot_s, first_s, slots[-SLOTS:])

    def rates(self, name: str, way: Way, cells: int) -> list[float | None]:
        """The last ``cells`` peaks of an interface in Mbps, the newest last."""
        place = 0 if way == "tx_rate_mbps" else 1
        seen = [slot.rates.get(name) if slot else None for slot in self._last(cells)]
        return [None if rates is None else rates[place] for rates in seen]

    def sockets(self, cells: int) -> list[float | None]:
        """The last ``cells`` peaks of the number of connections, the newest last."""
        return [slot.sockets if slot else None for slot in self._last(cells)]

    def peaks(self) -> dict[str, float]:
        """The highest rate of each interface in either direction, but of those that were always idle."""
        highest: dict[str, float] = {}
        for slot in self.slots:
            for name, rates in slot.rates.items():
                if rates is not _IDLE:
                    highest[name] = max(highest.get(name, 0.0), *rates)
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
        if not link["counters_reset"]:  # such a rate is not known
            pair = float(link["tx_rate_mbps"]), float(link["rx_rate_mbps"])
            rates[link["iface"]] = pair if any(pair) else _IDLE
    return rates


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell of a sparkline, and whether its value is over the limit."""

    sign: str
    over: bool = False


def sparkline(values: Sequence[float | None], limit: float, levels: str = BLOCK_LEVELS) -> list[Mark]:
    """A cell for each value: blank where it is unknown, the lowest level for 0, the highest at ``limit``."""
    highest = len(levels) - 1
    marks = []
    for value in values:
        if value is None:
            marks.append(Mark(" "))
        elif value > limit:
            marks.append(Mark(levels[-1], over=True))
        elif value <= 0:
            marks.append(Mark(levels[0]))
        else:
            marks.append(Mark(levels[1 + min(int(value / limit * highest), highest - 1)]))
    return marks
