"""Formats a report as a monitoring plugin for Nagios or Icinga prints it. Pure.

From the Monitoring Plugins' development guidelines: one line on stdout, ``STATUS - text | metrics``, each
metric ``'label'=value[unit];warn;crit;min;max``; exit status 0, 1, 2 or 3.

Guarantees: no name on the host, such as one with a ``|`` in it, breaks this format. An unknown value is
``U``, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence

from network_health.reporting import Content, Metric, report_metrics
from network_health.settings import Settings

UNKNOWN = 3
_STATUSES = {"INFO": 0, "WARNING": 1, "CRITICAL": 2}
_NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def exit_status(content: Content) -> int:
    """0 OK, 1 WARNING, 2 CRITICAL; 3 if a collector failed and there is no finding."""
    return UNKNOWN if content["status"] == "check_failed" else _STATUSES[content["severity"]]


def status_line(content: Content, settings: Settings, status: int, errors: Sequence[str] = ()) -> str:
    """The one line; ``errors`` are failures outside of the check.

    If each breach is CRITICAL at once, the limit is printed as the critical limit, too.
    """
    critical = settings.critical_after_checks == 1
    performance = " ".join(_performance(metric, critical) for metric in report_metrics(content, settings))
    return f"NETWORK {_NAMES[status]} - {_text('; '.join((*errors, content['details'])))} | {performance}"


def unknown_line(reasons: Sequence[str]) -> str:
    """The one line if there was no check."""
    return f"NETWORK UNKNOWN - {_text('; '.join(reasons))}"


def _performance(metric: Metric, critical: bool) -> str:
    label = "".join("_" if char in "=|" or not char.isprintable() else char for char in metric.name)
    label = label.replace("'", "''")
    limit = "" if metric.limit is None else _number(metric.limit)
    maximum = "100" if metric.unit == "%" else ""
    fields = (limit, limit if critical else "", "0", maximum)
    value = "U" if metric.value is None else f"{_number(metric.value)}{metric.unit}"
    return f"'{label}'={value};{';'.join(fields)}".rstrip(";")


def _number(value: float) -> str:
    """A number without an exponent, which some readers of performance data do not accept."""
    return f"{value:.5f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _text(text: str) -> str:
    return "".join("/" if char == "|" else char if char.isprintable() else " " for char in text)
