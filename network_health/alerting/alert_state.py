"""Tracks alerts from check to check (active, CRITICAL, resolved), and decides whether a report is due. Pure.

An alert is identified by (check, subject). `step` takes the state after the previous check and returns the
state after this one.

Guarantees:
- An alert is pending until ``alert_after_checks`` checks in a row were breached, then active until it is
  resolved. A pending alert is not reported. An active one is in every report; its end is reported once.
- A finding with ``breached`` false (the clear band) keeps an active alert active and ends a pending one.
- An alert is CRITICAL once ``critical_after_checks`` checks were breached since it began.
- A check that cannot be evaluated (failed collector, counter reset) neither resolves an alert nor counts as a
  breach. The last known finding is reported, marked as such.
- An alert is resolved as "normal" only if its value was measured within the limit. Otherwise its interface is
  "gone", or the "settings" were replaced. Each check uses the settings that it is given.
- With ``report_on`` "change", a report is due at the first check; when an alert becomes active, is resolved,
  or changes its severity or aspect; when a collector fails or answers again; and when ``repeat_after_sec``
  have passed since the last report while an alert is active or a collector fails.
- The size of the state is bounded by the findings of the last check, the active alerts and existing links.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from network_health.alerting import link_state, namespace_limits, protocol_limits
from network_health.alerting.link_state import LinkStates
from network_health.alerting.sentences import LAST_KNOWN, finding_sentences, resolved_sentences
from network_health.alerting.verdict import Alert, ResolvedAlert, ResolveReason, Verdict
from network_health.collectors import is_excluded
from network_health.model import Failure, Finding, Interface, Link, Snapshot
from network_health.settings import Settings

_COLLECTORS = {"connections": "connections", namespace_limits.CHECK: "namespaces"}
_INTERFACE_CHECKS = frozenset({"tx_rate", "rx_rate", "packet_errors", "link"})

_Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class AlertState:
    """What one check passes on to the next; ``due_s`` is when the last report was due, monotonic."""

    alerts: Mapping[_Key, Alert] = field(default_factory=dict)
    links: LinkStates = field(default_factory=LinkStates)
    failed: frozenset[str] = frozenset()
    settings: Settings | None = None
    due_s: float | None = None


def initial_state(interfaces: Sequence[Interface], settings: Settings, now_s: float) -> AlertState:
    """The state before the first check: no alert, and the links as they are at ``now_s``."""
    return AlertState(links=link_state.update(LinkStates(), interfaces, settings, now_s))


def expect_configured_links(
    state: AlertState, links: Sequence[Link], default_routes: Collection[str]
) -> AlertState:
    """The state in which links that are configured are expected to be up; see `link_state.expecting`."""
    return replace(state, links=link_state.expecting(state.links, links, default_routes))


def step(
    state: AlertState, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings, now_s: float
) -> tuple[AlertState, Verdict]:
    """Evaluate one check, made at ``now_s`` on a monotonic clock.

    ``findings`` are those of `thresholds.evaluate` for the same snapshot and settings. Findings about links
    are added here, before the others.
    """
    links = state.links
    if snapshot.interfaces is not None:
        links = link_state.update(links, snapshot.interfaces, settings, now_s)
        if settings.link_down_alerts:
            findings = (*link_state.findings(links), *findings)
    alerts, resolved = _update(state, findings, snapshot, settings, now_s)
    active = tuple(alert for alert in alerts.values() if alert.active)
    changes = (
        *_alert_changes(state.alerts, alerts),
        *resolved_sentences(resolved),
        *_failure_changes(state.failed, snapshot.failures),
    )
    failed = frozenset(failure.collector for failure in snapshot.failures)
    quiet_s = None if state.due_s is None else now_s - state.due_s
    repeated = quiet_s is not None and quiet_s >= settings.repeat_after_sec and bool(active or failed)
    due = settings.report_on == "check" or quiet_s is None or bool(changes or resolved) or repeated
    # A check with a failed collector did not apply new settings everywhere: they are still new to the next.
    applied = state.settings if failed and state.settings else settings
    after = AlertState(alerts, links, failed, applied, now_s if due else state.due_s)
    return after, Verdict(tuple(map(_reported_finding, active)), active, resolved, changes, due, now_s)


def _update(
    state: AlertState, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings, now_s: float
) -> tuple[dict[_Key, Alert], tuple[ResolvedAlert, ...]]:
    alerts: dict[_Key, Alert] = {}
    for finding in findings:
        key = finding.check, finding.subject
        before = state.alerts.get(key)
        if finding.breached:
            before = before or Alert(finding, snapshot.timestamp, now_s)
            alerts[key] = replace(before, finding=finding, checks=before.checks + 1, state="breached")
        elif before and before.active:
            alerts[key] = replace(before, finding=finding, state="clearing")
    missing = state.alerts.keys() - {(finding.check, finding.subject) for finding in findings}
    interfaces = {i.link.name: i for i in snapshot.interfaces or ()} if missing else {}
    resolved = []
    for key, alert in state.alerts.items():
        if key not in missing:
            continue
        reason = _resolve_reason(alert.finding, snapshot, interfaces, settings, state.settings)
        if reason is None:
            alerts[key] = replace(alert, state="unknown")
        elif alert.active:
            resolved.append(ResolvedAlert(alert, now_s - alert.since_s, reason))
    return {key: _escalated(alert, settings) for key, alert in alerts.items()}, tuple(resolved)


def _resolve_reason(
    finding: Finding,
    snapshot: Snapshot,
    interfaces: Mapping[str, Interface],
    settings: Settings,
    settings_before: Settings | None,
) -> ResolveReason | None:
    """Why there is no finding any more; ``None`` if the check could not be evaluated."""
    check, name = finding.check, finding.subject
    if any(failure.collector == _collector(check) for failure in snapshot.failures):
        return None
    if check in _INTERFACE_CHECKS:
        if check == "link" and not settings.link_down_alerts:
            return "settings"
        if is_excluded(name, settings.exclude_interfaces):
            return "settings"
        if name not in interfaces:
            return "gone"
        if _is_unknown(check, interfaces[name]):
            return None
    if check == "peer_retransmits":
        if settings.peer_retransmit_threshold_percent is None:
            return "settings"
        if snapshot.attribution is None or snapshot.attribution.peer_retransmit_percent is None:
            return None
    if check == namespace_limits.CHECK:
        reason = namespace_limits.resolve_reason(name, snapshot.namespaces, settings)
        if reason != "normal":
            return reason
    protocols = snapshot.protocols
    if protocols and _collector(check) == "protocols" and not protocol_limits.is_known(check, protocols):
        return None
    return "normal" if settings_before in (None, settings) else "settings"


def _is_unknown(check: str, interface: Interface) -> bool:
    values: dict[str, tuple[float | None, ...]] = {
        "tx_rate": (interface.tx_mbps,),
        "rx_rate": (interface.rx_mbps,),
        "packet_errors": (interface.new_tx_errors, interface.new_rx_errors, interface.new_drops),
    }
    return None in values.get(check, ())


def _collector(check: str) -> str:
    if check in _INTERFACE_CHECKS:
        return "interfaces"
    return _COLLECTORS.get(check, "protocols")


def _escalated(alert: Alert, settings: Settings) -> Alert:
    critical = 0 < settings.critical_after_checks <= alert.checks
    active = alert.active or (alert.state == "breached" and alert.checks >= settings.alert_after_checks)
    return replace(alert, active=active, severity="CRITICAL" if critical else "WARNING")


def _reported_finding(alert: Alert) -> Finding:
    finding = alert.finding
    return replace(finding, text=finding.text + LAST_KNOWN) if alert.state == "unknown" else finding


def _alert_changes(before: Mapping[_Key, Alert], after: Mapping[_Key, Alert]) -> Iterator[str]:
    changed = []
    for key, alert in after.items():
        then = before.get(key)
        if alert.active and (then is None or _reported_status(then) != _reported_status(alert)):
            changed.append((f"{alert.severity}: ", alert.finding))
    return finding_sentences(changed)


def _reported_status(alert: Alert) -> tuple[bool, str, str]:
    return alert.active, alert.severity, alert.finding.aspect


def _failure_changes(before: frozenset[str], now: Sequence[Failure]) -> Iterator[str]:
    for failure in now:
        if failure.collector not in before:
            yield f"Check of {failure.collector} failed: {failure.reason}"
    for collector in sorted(before - {failure.collector for failure in now}):
        yield f"Check of {collector} answers again"
