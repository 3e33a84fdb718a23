"""Defines the result of alerting for one check: active alerts, resolved alerts and what changed. Pure values.

Guarantees: an alert is called recovered only if its value was measured within its limit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from network_health.model import Finding

ResolveReason = Literal["normal", "gone", "settings"]

#: Names of checks in the sentence about a resolved alert; other checks keep their own name.
_LABELS = {
    "tx_rate": "outbound",
    "rx_rate": "inbound",
    "packet_errors": "errors",
    "connections": "connection count",
    "namespace_connections": "connection count",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """The state of one (check, subject).

    ``finding`` is the last one; ``checks`` is how many checks were breached. ``since`` (epoch seconds) and
    ``since_s`` (monotonic) are the time of the first breach. An alert that is not ``active`` is pending and
    not reported. ``state`` is that of the last check: ``clearing`` is within the limit but above the level
    where the alert ends, ``unknown`` could not be evaluated.
    """

    finding: Finding
    since: float
    since_s: float
    checks: int = 0
    active: bool = False
    severity: Literal["WARNING", "CRITICAL"] = "WARNING"
    state: Literal["breached", "clearing", "unknown"] = "breached"


@dataclass(frozen=True, slots=True)
class ResolvedAlert:
    """An alert that was active until this check.

    ``reason`` is ``normal`` (back within its limit), ``gone`` (the interface) or ``settings`` (were changed).
    """

    alert: Alert
    lasted_s: float
    reason: ResolveReason

    @property
    def text(self) -> str:
        """``eth0 outbound after 2 min 30 s``, followed by the reason unless it is ``normal``."""
        finding = self.alert.finding
        name = _LABELS.get(finding.check, finding.check.replace("_", " "))
        subject = "" if finding.subject == "host" else f"{finding.subject} "
        why = {"normal": "", "gone": f" ({finding.subject} is gone)", "settings": " (settings changed)"}
        return f"{subject}{name} after {duration_text(self.lasted_s)}{why[self.reason]}"

    @property
    def in_details(self) -> bool:
        """False for packet errors of a single check: they always end with the next one."""
        return self.alert.finding.check != "packet_errors" or self.alert.checks > 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one check.

    ``alerts`` are the active ones at ``at_s`` (monotonic); ``findings`` has the finding to report for each of
    them. ``changes`` has one sentence for each change since the previous check. ``due`` says whether a report
    is to be sent.
    """

    findings: tuple[Finding, ...] = ()
    alerts: tuple[Alert, ...] = ()
    resolved: tuple[ResolvedAlert, ...] = ()
    changes: tuple[str, ...] = ()
    due: bool = True
    at_s: float = 0.0

    @property
    def severity(self) -> Literal["INFO", "WARNING", "CRITICAL"]:
        """The severity of the most severe alert."""
        if any(alert.severity == "CRITICAL" for alert in self.alerts):
            return "CRITICAL"
        return "WARNING" if self.alerts else "INFO"


def duration_text(seconds: float) -> str:
    """A duration in its two largest units: ``2 min 30 s``."""
    whole = round(seconds)
    if whole < 1:
        return "less than 1 s"
    for unit, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"
