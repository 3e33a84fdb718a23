"""Findings over time -> what stands, how bad it is, what is over, and whether to report. Pure.

One state per (check, subject); `step` takes the state of the check before and gives that of this one.

Laws:
- An alert is told once ``alert_after_checks`` checks in a row were breached; one that was never told
  ends untold. What was told is told in every report until it ends, and then its end is told, once.
- A finding that is not breached (the clear band) keeps an alert that was told, and starts none.
- It becomes CRITICAL when ``critical_after_checks`` checks were breached while it lasted.
- What could not be judged (its collector failed, a counter was reset) neither ends nor counts on: the last
  known finding is told as such.
- An alert whose interface is gone has not recovered; neither has one that ended in the check in which the
  settings were replaced. Limits are those of the settings at each check.
- With ``report_on`` "change" a report is due when an alert is new, over, more or less severe or of another
  aspect; when a collector fails or answers again; when ``repeat_after_sec`` have passed since the last
  report while anything stands; and at the very first check.
- What is kept is bounded by the findings of the last check, what stands, and the links that exist.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from network_health.alerting import link_state, protocol_limits
from network_health.alerting.link_state import LinkStates
from network_health.alerting.verdict import Alert, Ending, EndReason, Verdict, ending_sentences
from network_health.collectors import is_excluded
from network_health.model import Failure, Finding, Interface, Snapshot
from network_health.settings import Settings

_OF_INTERFACES = frozenset({"tx_rate", "rx_rate", "packet_errors", "link"})

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AlertState:
    """What one check leaves to the next; ``sent_s`` is when the last report was due, monotonic."""

    alerts: Mapping[_Key, Alert] = field(default_factory=dict)
    links: LinkStates = field(default_factory=LinkStates)
    failed: frozenset[str] = frozenset()
    settings: Settings | None = None
    sent_s: float | None = None


def first_state(interfaces: Sequence[Interface], settings: Settings, now_s: float) -> AlertState:
    """The state before the first check: no alert, and the links as they are at ``now_s``."""
    return AlertState(links=link_state.follow(LinkStates(), interfaces, settings, now_s))


def step(
    state: AlertState, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings, now_s: float
) -> tuple[AlertState, Verdict]:
    """Judge one check, made at ``now_s`` on a monotonic clock.

    ``findings`` are those of `thresholds.evaluate` for the same snapshot and settings; those about links
    are added here, first.
    """
    link_states = state.links
    if snapshot.interfaces is not None:
        link_states = link_state.follow(state.links, snapshot.interfaces, settings, now_s)
        if settings.link_down_alerts:
            findings = (*link_state.findings(link_states), *findings)
    alerts, endings = _carry_on(state, findings, snapshot, settings, now_s)
    alerts = {key: _rated(alert, settings) for key, alert in alerts.items()}
    standing = tuple(alert for alert in alerts.values() if alert.told)
    changes = (
        *_news(state.alerts, alerts),
        *ending_sentences(endings),
        *_failures(state.failed, snapshot.failures),
    )
    failed = frozenset(failure.collector for failure in snapshot.failures)
    quiet_s = None if state.sent_s is None else now_s - state.sent_s
    repeated = quiet_s is not None and quiet_s >= settings.repeat_after_sec and bool(standing or failed)
    due = settings.report_on == "check" or quiet_s is None or bool(changes or endings) or repeated
    # Settings that a blind check could not apply are new to the next one as well.
    applied = state.settings if failed and state.settings else settings
    after = AlertState(alerts, link_states, failed, applied, now_s if due else state.sent_s)
    return after, Verdict(tuple(map(_told, standing)), standing, endings, changes, due)


def _carry_on(
    state: AlertState, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings, now_s: float
) -> tuple[dict[_Key, Alert], tuple[Ending, ...]]:
    alerts: dict[_Key, Alert] = {}
    for finding in findings:
        key = finding.check, finding.subject
        before = state.alerts.get(key)
        if finding.breached:
            before = before or Alert(finding, snapshot.timestamp, now_s)
            alerts[key] = replace(before, finding=finding, checks=before.checks + 1, state="breached")
        elif before and before.told:
            alerts[key] = replace(before, finding=finding, state="clearing")
    judged = {(finding.check, finding.subject) for finding in findings}
    interfaces = {i.link.name: i for i in snapshot.interfaces or ()} if state.alerts.keys() - judged else {}
    endings = []
    for key, alert in state.alerts.items():
        if key in judged:
            continue
        reason = _why_over(alert.finding, snapshot, interfaces, settings, state.settings)
        if reason is None:
            alerts[key] = replace(alert, state="unknown")
        elif alert.told:
            endings.append(Ending(alert, now_s - alert.since_s, reason))
    return alerts, tuple(endings)


def _why_over(
    finding: Finding,
    snapshot: Snapshot,
    interfaces: Mapping[str, Interface],
    settings: Settings,
    settings_before: Settings | None,
) -> EndReason | None:
    """Why nothing is found any more; ``None`` when that is unknown."""
    check, name = finding.check, finding.subject
    if any(failure.collector == _collector(check) for failure in snapshot.failures):
        return None
    if check in _OF_INTERFACES:
        if check == "link" and not settings.link_down_alerts:
            return "settings"
        if is_excluded(name, settings.exclude_interfaces):
            return "settings"
        if name not in interfaces:
            return "gone"
        if _is_unknown(check, interfaces[name]):
            return None
    protocols = snapshot.protocols
    if protocols and _collector(check) == "protocols" and not protocol_limits.is_known(check, protocols):
        return None
    return "normal" if settings_before in (None, settings) else "settings"


def _is_unknown(check: str, interface: Interface) -> bool:
    rates = {"tx_rate": interface.tx_mbps, "rx_rate": interface.rx_mbps}
    return rates.get(check, 0) is None or (check == "packet_errors" and interface.link.counters is None)


def _collector(check: str) -> str:
    if check in _OF_INTERFACES:
        return "interfaces"
    return "connections" if check == "connections" else "protocols"


def _rated(alert: Alert, settings: Settings) -> Alert:
    critical = 0 < settings.critical_after_checks <= alert.checks
    told = alert.told or (alert.state == "breached" and alert.checks >= settings.alert_after_checks)
    return replace(alert, told=told, severity="CRITICAL" if critical else "WARNING")


def _told(alert: Alert) -> Finding:
    finding = alert.finding
    return replace(finding, text=f"{finding.text} (last known)") if alert.state == "unknown" else finding


def _news(before: Mapping[_Key, Alert], after: Mapping[_Key, Alert]) -> Iterator[str]:
    for key, alert in after.items():
        then = before.get(key)
        if alert.told and (then is None or _looks(then) != _looks(alert)):
            yield f"{alert.severity}: {alert.finding.sentence}"


def _looks(alert: Alert) -> tuple[bool, str, str]:
    return alert.told, alert.severity, alert.finding.aspect


def _failures(before: frozenset[str], now: Sequence[Failure]) -> Iterator[str]:
    for failure in now:
        if failure.collector not in before:
            yield f"Check of {failure.collector} failed: {failure.reason}"
    for collector in sorted(before - {failure.collector for failure in now}):
        yield f"Check of {collector} answers again"
