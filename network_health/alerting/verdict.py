"""What alerting says of one check: the alerts that stand, those that ended, what is new. Pure values.

Law: an end is worded by its reason. Only a figure that was seen to be back in bounds has recovered.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from network_health.model import Finding

EndReason = Literal["normal", "gone", "settings"]

#: How a check is called when it is over; the others go by their own name.
_NAMES = {
    "tx_rate": "outbound",
    "rx_rate": "inbound",
    "packet_errors": "errors",
    "connections": "connection count",
}


@dataclass(frozen=True, slots=True)
class Alert:
    """The state of one (check, subject).

    ``finding`` is the last one seen, in ``checks`` checks breached. ``since`` is epoch seconds, ``since_s``
    monotonic: when it was first seen. ``told`` says that it has been reported; before that it waits for
    more checks. ``state`` is that of the last check: ``clearing`` is no longer breached but not yet at the
    level where the alert ends, ``unknown`` could not be judged.
    """

    finding: Finding
    since: float
    since_s: float
    checks: int = 0
    told: bool = False
    severity: Literal["WARNING", "CRITICAL"] = "WARNING"
    state: Literal["breached", "clearing", "unknown"] = "breached"


@dataclass(frozen=True, slots=True)
class Ending:
    """A told alert that is over: its subject is ``gone``, or the ``settings`` that judge it were changed."""

    alert: Alert
    lasted_s: float
    reason: EndReason

    @property
    def text(self) -> str:
        """``eth0 outbound after 2 min 30 s``, with the reason if it is not that all is well."""
        finding = self.alert.finding
        name = _NAMES.get(finding.check, finding.check.replace("_", " "))
        subject = "" if finding.subject == "host" else f"{finding.subject} "
        why = {"normal": "", "gone": f" ({finding.subject} is gone)", "settings": " (settings changed)"}
        return f"{subject}{name} after {in_words(self.lasted_s)}{why[self.reason]}"

    @property
    def is_worth_words(self) -> bool:
        """Whether a human wants to read of it: errors that one window held are over with it."""
        return self.alert.finding.check != "packet_errors" or self.alert.checks > 1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check amounts to.

    ``findings`` are those to tell, one for each of ``alerts``, which are all that stand; ``changes`` has a
    sentence for whatever is new since the check before; ``due`` says whether a report is to be sent.
    """

    findings: tuple[Finding, ...] = ()
    alerts: tuple[Alert, ...] = ()
    endings: tuple[Ending, ...] = ()
    changes: tuple[str, ...] = ()
    due: bool = True

    @property
    def severity(self) -> Literal["INFO", "WARNING", "CRITICAL"]:
        """That of the worst alert."""
        if any(alert.severity == "CRITICAL" for alert in self.alerts):
            return "CRITICAL"
        return "WARNING" if self.alerts else "INFO"


def ending_sentences(endings: Sequence[Ending]) -> Iterator[str]:
    """``Recovered: …`` and ``Ended: …``, each if there is something to say."""
    for word, recovered in (("Recovered", True), ("Ended", False)):
        texts = [e.text for e in endings if (e.reason == "normal") is recovered and e.is_worth_words]
        if texts:
            yield f"{word}: {', '.join(texts)}"


def in_words(seconds: float) -> str:
    """A duration as a human says it, in its two largest units: ``2 min 30 s``."""
    whole = round(seconds)
    if whole < 1:
        return "less than 1 s"
    for unit, name, part, part_name in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= unit:
            rest = whole % unit // part
            return f"{whole // unit} {name}" + (f" {rest} {part_name}" if rest else "")
    return f"{whole} s"
