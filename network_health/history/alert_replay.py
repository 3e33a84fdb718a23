"""Runs alerting over kept checks once more, with the settings of then or with others. Pure.

Guarantees:
- With the settings of then, single checks give exactly the alerts that the agent had since the first of
  them. As in the agent, an alert goes on over a time without checks, and over a boot of the host.
- A summary is one check with the highest values of its period. So it overstates: values that were the highest
  at different times meet in it. A number of checks in a row is converted to a number of periods.
- Checks are taken in the order in which they were recorded. The monotonic clock is not kept: it is computed
  from the wall clock, where that goes forward.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

from network_health.alerting import Alert, AlertState, ResolvedAlert, evaluate, from_plain, step, to_plain
from network_health.collectors import is_excluded
from network_health.history.kept import KeptCheck, KeptSettings
from network_health.model import Snapshot
from network_health.settings import Settings

_RULES = frozenset(
    {
        *("alert_after_checks", "clear_percent", "critical_after_checks", "exclude_interfaces"),
        *("link_down_alerts", "namespaces", "packet_error_percent", "packet_errors", "rate_basis"),
    }
)
#: The settings that decide which alerts there are; a replay can use other values for them. The bytes that are
#: sent again to one address are not kept.
REPLAYED = tuple(
    name
    for name in (field.name for field in fields(Settings))
    if name in _RULES or ("threshold" in name and name != "peer_retransmit_threshold_percent")
)


@dataclass(frozen=True, slots=True)
class ReplayedAlert:
    """An alert of a replay: from ``began`` to ``ended``, epoch seconds.

    ``ended`` is ``None`` if it is active at the last check; ``reason`` says why it ended. ``severity`` is the
    highest, and so is ``highest``, with the ``sentence`` of its check. ``breached_checks`` is the number of
    checks above the limit. ``is_exact`` is false if it began in a summary.
    """

    check: str
    subject: str
    severity: str
    began: float
    ended: float | None
    reason: str
    lasted_s: float
    highest: float
    sentence: str
    breached_checks: int
    is_exact: bool


class Replay:
    """One replay; `add` takes the checks in the order in which they were recorded, `alerts` has the result.

    Args:
        settings: to use for all checks; or those that were in force, from the time of a check on.
    """

    def __init__(self, settings: Settings | Sequence[KeptSettings]) -> None:
        in_force = [KeptSettings(-math.inf, settings)] if isinstance(settings, Settings) else settings
        self._in_force = in_force
        self._changes = {kept.at: kept.settings for kept in in_force}
        self._settings = Settings()
        self._state = AlertState()
        self._before: KeptCheck | None = None
        self._now_s = 0.0
        self._active: dict[tuple[str, str], ReplayedAlert] = {}
        self._ended: list[ReplayedAlert] = []

    def add(self, check: KeptCheck) -> None:
        """Evaluate the next check."""
        settings = self._settings_at(check)
        if check.is_summary:
            settings = _scaled(settings, check.period_s)
        before, self._before = self._before, check
        if before:
            self._now_s += check.at - before.at if check.at >= before.at else before.period_s
            if before.is_summary and not check.is_summary:
                # Settings that differ by the scale of a summary only are not new.
                self._state = replace(self._state, settings=settings)
            if _is_after_boot(check.snapshot):
                self._state = from_plain(to_plain(self._state), float, same_boot=False)
        snapshot = _seen_with(settings, check.snapshot)
        findings = evaluate(snapshot, settings)
        self._state, verdict = step(self._state, findings, snapshot, settings, self._now_s)
        for alert in verdict.alerts:
            self._note(alert, check)
        for resolved in verdict.resolved:
            self._end(resolved, check)

    @property
    def alerts(self) -> tuple[ReplayedAlert, ...]:
        """The alerts so far: those that have ended, in the order of their ends, then the active ones."""
        return (*self._ended, *self._active.values())

    def _settings_at(self, check: KeptCheck) -> Settings:
        """Those of the check at which they came into force: after a set clock a time can come twice."""
        if self._before is None:
            earlier = [kept.settings for kept in self._in_force if kept.at <= check.at]
            self._settings = earlier[-1] if earlier else self._settings
        self._settings = self._changes.get(check.at, self._settings)
        return self._settings

    def _note(self, alert: Alert, check: KeptCheck) -> None:
        finding = alert.finding
        key = finding.check, finding.subject
        known = self._active.get(key)
        if known is None or finding.value > known.highest:
            highest, sentence = finding.value, finding.text
        else:
            highest, sentence = known.highest, known.sentence
        self._active[key] = ReplayedAlert(
            check=finding.check,
            subject=finding.subject,
            severity="CRITICAL" if known and known.severity == "CRITICAL" else alert.severity,
            began=alert.since,
            ended=None,
            reason="",
            lasted_s=self._now_s - alert.since_s,
            highest=highest,
            sentence=sentence,
            breached_checks=alert.checks,
            is_exact=known.is_exact if known else not check.is_summary,
        )

    def _end(self, resolved: ResolvedAlert, check: KeptCheck) -> None:
        finding = resolved.alert.finding
        active = self._active.pop((finding.check, finding.subject))
        self._ended.append(
            replace(active, ended=check.at, reason=resolved.reason, lasted_s=resolved.lasted_s)
        )


def replayed(
    checks: Iterable[KeptCheck], settings: Settings | Sequence[KeptSettings]
) -> tuple[ReplayedAlert, ...]:
    """The alerts of a `Replay` of ``checks``."""
    replay = Replay(settings)
    for check in checks:
        replay.add(check)
    return replay.alerts


@lru_cache(maxsize=8)
def _scaled(settings: Settings, period_s: float) -> Settings:
    """The settings for a summary: of ``alert_after_checks`` checks in a row a period has several."""
    checks = max(1.0, period_s / settings.check_interval_sec)
    return replace(
        settings,
        alert_after_checks=max(1, math.ceil(settings.alert_after_checks / checks)),
        critical_after_checks=math.ceil(settings.critical_after_checks / checks),
    )


def _seen_with(settings: Settings, snapshot: Snapshot) -> Snapshot:
    """What the agent would have looked at with these settings, as far as it was kept."""
    excluded = settings.exclude_interfaces
    if excluded and snapshot.interfaces is not None:
        left = tuple(i for i in snapshot.interfaces if not is_excluded(i.link.name, excluded))
        snapshot = replace(snapshot, interfaces=left)
    if settings.namespaces == "off" and snapshot.namespaces is not None:
        snapshot = replace(snapshot, namespaces=None)
    return snapshot


def _is_after_boot(snapshot: Snapshot) -> bool:
    """Whether the indexes of links may have changed: all counts begin at the creation of their interface."""
    interfaces = snapshot.interfaces or ()
    return bool(interfaces) and all(interface.since_boot for interface in interfaces)
