"""Summarizes a range of a history: interfaces and connections against their limits, alerts, gaps.

Guarantees: an unknown value is ``None``, never 0. A value is compared with the limit that was in force at its
time. Nothing is written.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from network_health.history import History, KeptAlert, KeptSettings, Series
from network_health.settings import Settings

#: So that the checks of a day at the default interval are read one by one.
_POINTS = 3000
#: The checks of more interfaces are not read one by one: they would take too much memory.
_MAX_EXACT = 20
#: More than a sparkline has cells.
PARTS = 240
#: After so many intervals without a check the agent does not run.
_MISSED_CHECKS = 3


@dataclass(frozen=True, slots=True)
class Values:
    """One metric in the range.

    ``p95`` is exact where the single checks are kept (``is_exact``), else it is the 95th percentile of those
    of the summaries. ``highest_at`` is the begin of its period, epoch seconds; ``limit`` is the last one in
    force. ``shares`` are the highest values of `PARTS` equal parts of the range, 1 is the limit of that time.
    """

    average: float | None
    p95: float | None
    highest: float | None
    highest_at: float | None
    limit: float | None
    shares: tuple[float | None, ...]
    is_exact: bool

    @property
    def is_over(self) -> bool:
        """Whether a value was above the limit of its time."""
        return any(share is not None and share > 1 for share in self.shares)


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without checks, epoch seconds."""

    since: float
    until: float


@dataclass(frozen=True, slots=True)
class InterfaceValues:
    """Rates in Mbps, by direction ``tx`` and ``rx``; the most new errors and drops that one check found."""

    name: str
    rates: Mapping[str, Values]
    errors: Values
    drops: Values

    @property
    def is_idle(self) -> bool:
        """Whether it had no traffic, errors or drops."""
        return not any(values.highest for values in (*self.rates.values(), self.errors, self.drops))


@dataclass(frozen=True, slots=True)
class Overview:
    """What happened from ``since`` to ``until``, epoch seconds, as seen at ``now``.

    ``first_at`` and ``last_at`` are the first and last check that the file has at all. ``interfaces`` are
    ordered by their highest share of a limit, ``alerts`` by their begin; ``names`` are those of all
    interfaces. ``set_back`` are the changes of a clock that was set back, from and to which time.
    """

    since: float
    until: float
    now: float
    first_at: float | None
    last_at: float | None
    interval_s: float
    rate_basis: str
    gaps: Sequence[Gap]
    set_back: Sequence[tuple[float, float]]
    names: Sequence[str]
    interfaces: Sequence[InterfaceValues]
    connections: Mapping[str, Values]
    alerts: Sequence[KeptAlert]

    @property
    def is_stopped(self) -> bool:
        """Whether the agent has made no check for so long that it does not run, or cannot write."""
        return self.last_at is not None and self.now - self.last_at > _MISSED_CHECKS * self.interval_s


def overview(
    history: History, since: float, until: float, now: float, interface: str | None = None
) -> Overview:
    """The summary of a range; of one ``interface`` if one is named."""
    first_at = history.first_at
    begin = since if first_at is None or first_at >= until else max(since, first_at)
    kept = tuple(history.limits(begin, until))
    scale = _Scale(begin, until, kept, history.interval_s)
    basis = scale.last.rate_basis
    cost = history.cost(begin, until, _POINTS).get("total_ms")
    by_interface = history.interfaces(begin, until, PARTS)
    if len(by_interface) <= _MAX_EXACT:
        by_interface = history.interfaces(begin, until, _POINTS)
    interfaces = [
        _interface(name, series, scale, "_peak" if basis == "peak" else "")
        for name, series in by_interface.items()
        if interface in (None, name)
    ]
    of_host = {} if interface else history.connections(begin, until, _POINTS)
    connections = {state: scale.values(series, "conn_threshold") for state, series in of_host.items()}
    connections = {
        state: values if state == "total" else replace(values, limit=None)
        for state, values in connections.items()
    }
    return Overview(
        since=begin,
        until=until,
        now=now,
        first_at=first_at,
        last_at=history.last_at,
        interval_s=history.interval_s,
        rate_basis=basis,
        gaps=_gaps(cost, until),
        set_back=history.clock_set_back(begin, until),
        names=sorted(by_interface),
        interfaces=sorted(interfaces, key=lambda values: (-_highest_share(values), values.name)),
        connections=dict(sorted(connections.items(), key=lambda item: -(item[1].highest or 0))),
        alerts=sorted(history.alerts(begin, until, interface), key=lambda alert: alert.begin),
    )


def _gaps(cost: Series | None, until: float) -> list[Gap]:
    """A period without values is a time without checks, and lasts until the next one."""
    if cost is None:
        return []
    ends = (*cost.at[1:], until)
    periods = zip(cost.at, ends, cost.average, strict=True)
    return [Gap(at, end) for at, end, value in periods if value is None and end > at]


def _interface(name: str, series: Mapping[str, Series], scale: _Scale, basis: str) -> InterfaceValues:
    return InterfaceValues(
        name,
        {
            direction: scale.values(series.get(f"{direction}{basis}_mbps"), f"{direction}_threshold_mbps")
            for direction in ("tx", "rx")
        },
        scale.values(series.get("errors"), None),
        scale.values(series.get("drops"), None),
    )


def _highest_share(values: InterfaceValues) -> float:
    shares = [share for rates in values.rates.values() for share in rates.shares if share is not None]
    return max(shares, default=-1.0)


class _Scale:
    """Divides the range into parts, and knows the settings at any time."""

    def __init__(self, since: float, until: float, kept: Sequence[KeptSettings], interval_s: float) -> None:
        self._since, self._interval_s = since, interval_s
        self._part_s = (until - since) / PARTS
        self._kept = sorted(kept, key=lambda entry: entry.at)
        self._times = [entry.at for entry in self._kept]
        self.last = self._kept[-1].settings if self._kept else Settings()

    def values(self, series: Series | None, setting: str | None) -> Values:
        """The values of a metric whose limit is ``setting``."""
        limit = getattr(self.last, setting) if setting else None
        if series is None:
            return Values(None, None, None, None, limit, (None,) * PARTS, is_exact=True)
        shares: list[float | None] = [None] * PARTS
        highest, highest_at = None, None
        for at, value in zip(series.at, series.highest, strict=True):
            if value is None:
                continue
            if highest is None or value > highest:
                highest, highest_at = value, at
            share = self._share(value, at, setting)
            for part in range(self._part(at), self._part(at + series.period_s * 0.999) + 1):
                shares[part] = max(share, shares[part] or 0.0)
        averages = [value for value in series.average if value is not None]
        upper = sorted(value for value in series.p95 if value is not None)
        return Values(
            sum(averages) / len(averages) if averages else None,
            upper[min(int(0.95 * len(upper)), len(upper) - 1)] if upper else None,
            highest,
            highest_at,
            limit,
            tuple(shares),
            is_exact=series.period_s < 1.5 * self._interval_s,
        )

    def _part(self, at: float) -> int:
        return min(max(int((at - self._since) / self._part_s), 0), PARTS - 1)

    def _share(self, value: float, at: float, setting: str | None) -> float:
        """1 is the limit of that time; a limit of 0 is exceeded by every value above it."""
        index = max(bisect_right(self._times, at) - 1, 0)
        settings = self._kept[index].settings if self._kept else self.last
        limit = getattr(settings, setting) if setting else None
        if limit is None:
            return 0.0
        return value / limit if limit > 0 else 2.0 if value > limit else 0.0
