"""Suggests a value for each limit from what was normal. Pure.

Guarantees:
- A limit that is too low for what is normal is raised to `MARGIN` times the 99.9th percentile of the subject
  that has most; but not above what its link or the kernel's table can take.
- A limit is lowered only after a week, to twice the highest value, and only if that is less than half of it.
  So a lowered limit adds no alert to the replay. A limit for the use of a table is not lowered.
- A limit that is off stays off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from network_health.history.alert_replay import ReplayedAlert
from network_health.history.normal import LIMITS, Normal, Observed
from network_health.settings import Settings

#: Without so much time with checks, a day's peak may not be in it.
LEAST_S = 86400.0
#: Without so much, a limit is not lowered.
LEAST_TO_LOWER_S = 7 * 86400.0
MARGIN = 1.25
#: Traffic of a link, and the use of a limited table, are a finding from here on, whatever is normal.
HIGHEST_SHARE = 0.9
#: An alert of so few checks is a burst; this many bursts, and at least half of all alerts, call for a delay.
BURST_CHECKS, BURSTS = 2, 3

#: A lowered limit is not below this.
_FLOORS = {"Mbps": 10.0, "sockets": 100.0, "%": 1.0, "1/s": 1.0}
#: Shares of a resource that fails when it is full.
_TABLES = frozenset(
    {
        *("conntrack_threshold_percent", "orphan_threshold_percent", "tcp_memory_threshold_percent"),
        "ephemeral_port_threshold_percent",
    }
)
_UNITS: dict[str, str] = {f.name: f.metadata["unit"] for f in fields(Settings)}
#: In the order of the settings.
_LIMITS = tuple(name for name in _UNITS if name in LIMITS.values())


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One limit: its value now, the suggested one, and why; ``None`` is off.

    ``normal`` is what was normal by subject; the first one decided.
    """

    setting: str
    unit: str
    present: float | None
    suggested: float | None
    reason: str
    normal: tuple[Normal, ...] = ()


def suggestions(observed: Observed, present: Settings) -> tuple[Suggestion, ...]:
    """A suggestion for each limit, in the order of the settings."""
    return tuple(_suggestion(name, getattr(present, name), observed) for name in _LIMITS)


def changed_settings(suggested: Iterable[Suggestion]) -> dict[str, Any]:
    """The settings that differ from the present ones, as a config block has them."""
    return {each.setting: each.suggested for each in suggested if each.suggested != each.present}


def delay_for_bursts(alerts: Sequence[ReplayedAlert], present: Settings) -> int | None:
    """A value for ``alert_after_checks`` that leaves out bursts; ``None`` if there are few or it is set.

    Only alerts that began in a kept check tell how many checks they lasted. Packet errors do not last.
    """
    counted = [a for a in alerts if a.is_exact and a.ended and a.check not in ("link", "packet_errors")]
    bursts = sum(each.breached_checks <= BURST_CHECKS for each in counted)
    if present.alert_after_checks > BURST_CHECKS or bursts < BURSTS or 2 * bursts < len(counted):
        return None
    return BURST_CHECKS + 1


def _suggestion(setting: str, present: float | None, observed: Observed) -> Suggestion:
    unit, normal = _UNITS[setting], observed.normal(setting)

    def result(value: float | None, reason: str) -> Suggestion:
        return Suggestion(setting, unit, present, value, reason, normal)

    if not normal:
        return result(present, "0 all the time, or not measured: as it is")
    top, highest = normal[0], max(each.highest for each in normal)
    if highest == 0:
        return result(present, "0 all the time: as it is")
    if present is None:
        return result(None, "off: as it is")
    needed, bound = rounded_up(top.p999 * MARGIN), _bound(setting, top)
    usual = f"99.9 % of the time {_of(top)} is at most {top.p999:.4g} {unit}"
    if needed > present:
        if bound is None or needed <= bound:
            return result(needed, f"{usual}; with a margin of a quarter")
        if bound > present:
            return result(bound, f"{usual}, close to all that there is: {_what_there_is(top)}")
        return result(present, f"{usual}, as much as there is: find out who needs it")
    lowered = max(rounded_up(2 * highest), _FLOORS[unit])
    if lowered < present / 2 and setting not in _TABLES:
        if observed.coverage.covered_s >= LEAST_TO_LOWER_S:
            return result(lowered, f"never above {highest:.4g} {unit}: twice the highest value")
        return result(present, f"never above {highest:.4g} {unit}, but a week is needed to lower a limit")
    return result(present, f"{usual}: as it is")


def _bound(setting: str, top: Normal) -> float | None:
    """The highest value that a limit can have and still be exceeded in time."""
    if setting in _TABLES:
        return 100 * HIGHEST_SHARE
    if setting.endswith("percent"):
        return 100.0
    return _rounded(top.speed_mbps * HIGHEST_SHARE, math.floor) if top.speed_mbps else None


def _what_there_is(top: Normal) -> str:
    share = f"{100 * HIGHEST_SHARE:g} %"
    return f"{share} of the link's {top.speed_mbps} Mbps" if top.speed_mbps else f"{share} of the limit"


def _of(top: Normal) -> str:
    return "it" if top.subject == "host" else top.subject


def rounded_up(value: float) -> float:
    """The value with two digits, not below it: 413 becomes 420."""
    return _rounded(value, math.ceil)


def _rounded(value: float, direction: Callable[[float], int]) -> float:
    if value <= 0:
        return 0
    exponent = math.floor(math.log10(value)) - 1
    digits = int(direction(round(value / 10.0**exponent, 6)))
    rounded = float(f"{digits}e{exponent}")
    return int(rounded) if rounded.is_integer() else rounded
