"""Finds what was normal: for each limit and subject, the values that were compared with it. Pure.

Guarantees:
- The values are those that `alerting.evaluate` compares with the limits.
- One value counts for five minutes, the highest of its checks: a limit is breached by a single check. The
  value of a longer period counts for each five minutes of it.
- Where nothing was measured, nothing is counted: a time without checks is no time with zeros.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from network_health.alerting import evaluate
from network_health.history.kept import KeptCheck
from network_health.settings import Settings

PERIOD_S = 300.0
#: The limit that decides a check of `alerting`, by the check.
LIMITS = {
    "tx_rate": "tx_threshold_mbps",
    "rx_rate": "rx_threshold_mbps",
    "connections": "conn_threshold",
    "namespace_connections": "container_conn_threshold",
    "packet_errors": "packet_error_percent",
    "retransmits": "retransmit_threshold_percent",
    "listen_overflows": "listen_overflow_threshold_per_sec",
    "listen_drops": "listen_drop_threshold_per_sec",
    "syn_cookies": "syn_queue_threshold_per_sec",
    "syn_queue_drops": "syn_queue_threshold_per_sec",
    "udp_receive": "udp_error_threshold_per_sec",
    "udp_send": "udp_error_threshold_per_sec",
    "softnet_dropped": "softnet_threshold_per_sec",
    "softnet_squeezed": "softnet_threshold_per_sec",
    "conntrack": "conntrack_threshold_percent",
    "orphans": "orphan_threshold_percent",
    "tcp_memory": "tcp_memory_threshold_percent",
    "ephemeral_ports": "ephemeral_port_threshold_percent",
}
#: Checks with a finding for each measured value, also for 0, if the limit is low enough.
_ALWAYS_FOUND = frozenset({"tx_rate", "rx_rate", "connections", "namespace_connections"})
_BELOW_ALL = -1


@dataclass(frozen=True, slots=True)
class Normal:
    """The values of one check and subject, of ``periods`` periods of five minutes.

    ``speed_mbps`` is the highest speed of an interface's link; ``None`` if it is unknown or not an interface.
    """

    check: str
    subject: str
    periods: int
    median: float
    p95: float
    p999: float
    highest: float
    speed_mbps: int | None = None


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much was kept. ``checks`` are the exact ones, from ``exact_since``; times are epoch seconds.

    ``covered_s`` is the time with checks. ``gaps`` is the number of times without, and ``gaps_s`` their sum.
    """

    since: float | None = None
    until: float | None = None
    exact_since: float | None = None
    checks: int = 0
    summaries: int = 0
    covered_s: float = 0.0
    gaps: int = 0
    gaps_s: float = 0.0


class _Values:
    """The highest value of each period; only the last period is still open.

    With ``in_a_row`` above 1, the value of a check is the lowest of so many in a row, or 0.
    """

    def __init__(self, in_a_row: int = 1) -> None:
        self.values = array("d")
        self._period = math.nan
        self._recent: deque[tuple[int, float]] = deque(maxlen=in_a_row)

    def add(self, value: float, check: int, period: float, count: int) -> None:
        """Take the value of one check; ``count`` is the weight of its period."""
        in_a_row = self._recent.maxlen or 1
        if in_a_row > 1:
            self._recent.append((check, value))
            is_sustained = self._recent[0][0] == check - in_a_row + 1
            value = min(each for _, each in self._recent) if is_sustained else 0.0
        if period == self._period:
            self.values[-1] = max(self.values[-1], value)
            return
        self._period = period
        self.values.extend([value] * count)


class Observed:
    """Collects what was normal; `add` takes the checks in the order in which they were recorded.

    Args:
        present: the settings in force, which say which rate is compared with the limits.
        in_a_row: so many checks in a row must be above a limit.
    """

    def __init__(self, present: Settings, in_a_row: int = 1) -> None:
        lowest: dict[str, Any] = {f.name: 0 for f in fields(Settings) if "threshold" in f.name}
        self._settings = replace(
            Settings(),
            **lowest
            | dict.fromkeys(("tx_threshold_mbps", "rx_threshold_mbps", "conn_threshold"), _BELOW_ALL)
            | {"container_conn_threshold": _BELOW_ALL, "packet_error_percent": 1e-9}
            | {"rate_basis": present.rate_basis},
        )
        self._in_a_row = in_a_row
        self._values: dict[tuple[str, str], _Values] = {}
        self._speeds: dict[str, int] = {}
        self._periods = _Values()
        self._before: KeptCheck | None = None
        self.coverage = Coverage()

    def add(self, check: KeptCheck) -> None:
        """Take the values of the next check."""
        self._cover(check)
        period, number = math.floor(check.at / PERIOD_S), self.coverage.checks + self.coverage.summaries
        count = max(1, round(check.period_s / PERIOD_S))
        self._periods.add(0.0, number, period, count)
        for finding in evaluate(check.snapshot, self._settings):
            key = finding.check, finding.subject
            values = self._values.get(key)
            if values is None:
                values = self._values[key] = _Values(self._in_a_row)
            values.add(finding.value, number, period, count)
        for interface in check.snapshot.interfaces or ():
            if interface.link.speed_mbps:
                name = interface.link.name
                self._speeds[name] = max(self._speeds.get(name, 0), interface.link.speed_mbps)

    def normal(self, setting: str) -> tuple[Normal, ...]:
        """What was normal for the subjects of a limit, the one with the highest 99.9th percentile first."""
        found = [
            self._normal(check, subject, values.values)
            for (check, subject), values in self._values.items()
            if LIMITS[check] == setting
        ]
        return tuple(sorted(found, key=lambda each: (-each.p999, -each.highest, each.subject, each.check)))

    def _normal(self, check: str, subject: str, values: Sequence[float]) -> Normal:
        ordered = sorted(values)
        if check not in _ALWAYS_FOUND:  # where there was no finding, the value was 0
            ordered = [0.0] * (len(self._periods.values) - len(ordered)) + ordered
        speed = self._speeds.get(subject) if check in ("tx_rate", "rx_rate") else None
        median, p95, p999 = (_percentile(ordered, share) for share in (0.5, 0.95, 0.999))
        return Normal(check, subject, len(ordered), median, p95, p999, ordered[-1], speed)

    def _cover(self, check: KeptCheck) -> None:
        known, before = self.coverage, self._before
        lasts_s = check.period_s
        gap_s = 0.0
        if before:
            since_s = check.at - before.at
            if since_s > max(PERIOD_S, 2 * before.period_s):
                gap_s = since_s - before.period_s
            elif since_s >= 0:
                lasts_s = since_s
        self._before = check
        exact = not check.is_summary
        self.coverage = Coverage(
            since=check.at if known.since is None else min(known.since, check.at),
            until=check.at if known.until is None else max(known.until, check.at),
            exact_since=check.at if exact and known.exact_since is None else known.exact_since,
            checks=known.checks + exact,
            summaries=known.summaries + (not exact),
            covered_s=known.covered_s + lasts_s,
            gaps=known.gaps + (gap_s > 0),
            gaps_s=known.gaps_s + gap_s,
        )


def _percentile(ordered: Sequence[float], share: float) -> float:
    """The lowest value that ``share`` of all values do not exceed."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
