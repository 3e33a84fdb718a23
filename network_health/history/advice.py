"""Compares the settings in force with suggested or chosen ones, by a replay of the kept checks. Pure.

Guarantees: the suggested settings are a config block that `Settings.from_mapping` accepts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from network_health.history.alert_replay import Replay, ReplayedAlert, replayed
from network_health.history.kept import KeptCheck
from network_health.history.normal import Coverage, Observed
from network_health.history.suggestions import (
    LEAST_S,
    Suggestion,
    changed_settings,
    delay_for_bursts,
    suggestions,
)
from network_health.settings import Settings


class TooLittleHistory(Exception):
    """There are checks of less than a day; ``coverage`` says how much there is."""

    def __init__(self, coverage: Coverage) -> None:
        super().__init__(coverage)
        self.coverage = coverage


@dataclass(frozen=True, slots=True)
class Advice:
    """What was kept, a suggestion for each limit, and the alerts with both settings.

    ``config`` has the settings that differ from the present ones.
    """

    coverage: Coverage
    suggestions: tuple[Suggestion, ...]
    config: Mapping[str, Any]
    present_alerts: tuple[ReplayedAlert, ...]
    alerts: tuple[ReplayedAlert, ...]


def advise(
    checks: Callable[[float, float], Iterable[KeptCheck]],
    span: tuple[float, float],
    present: Settings,
    chosen: Mapping[str, Any] | None = None,
) -> Advice:
    """Replay the checks with the ``present`` settings, and with the ``chosen`` or else the suggested ones.

    Args:
        checks: returns the kept checks of a time, as `History.checks`; they are read up to three times.
        span: the time to look at, epoch seconds.
        present: the settings in force.
        chosen: settings that replace some of the present ones; they need no day of history.

    Raises:
        TooLittleHistory: less than a day was kept, and nothing is ``chosen``.
    """
    observed, replay = Observed(present), Replay(present)
    for check in checks(*span):
        observed.add(check)
        replay.add(check)
    coverage, present_alerts = observed.coverage, replay.alerts
    if chosen is None and coverage.covered_s < LEAST_S:
        raise TooLittleHistory(coverage)
    found = suggestions(observed, present)
    config = dict(chosen or {})
    if chosen is None:
        delay = delay_for_bursts(present_alerts, present)
        if delay:
            single = checks(coverage.exact_since or span[0], span[1])
            found, delay = _without_bursts(found, single, present, delay)
        config = changed_settings(found) | ({"alert_after_checks": delay} if delay else {})
    alerts = replayed(checks(*span), replace(present, **config)) if config else present_alerts
    return Advice(coverage, found, config, present_alerts, alerts)


def _without_bursts(
    found: tuple[Suggestion, ...], checks: Iterable[KeptCheck], present: Settings, delay: int
) -> tuple[tuple[Suggestion, ...], int | None]:
    """Keep the limits that only bursts exceeded; the delay is ``None`` if there are none of these."""
    observed, sustained = Observed(present), Observed(present, in_a_row=delay)
    for check in checks:
        if not check.is_summary:
            observed.add(check)
            sustained.add(check)
    plain, in_a_row = (changed_settings(suggestions(each, present)) for each in (observed, sustained))
    bursty = plain.keys() - in_a_row.keys()
    if sustained.coverage.covered_s < LEAST_S or not bursty:
        return found, None
    reason = f"only bursts of fewer than {delay} checks exceed it: as it is, with alert_after_checks {delay}"
    kept = (
        replace(each, suggested=each.present, reason=reason) if each.setting in bursty else each
        for each in found
    )
    return tuple(kept), delay
