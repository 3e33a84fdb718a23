"""A report as a monitoring plugin says it, for Nagios, Icinga and their kin. Pure.

From the Monitoring Plugins' development guidelines: one line on stdout, ``STATUS - text | figures``, each
figure ``'label'=value[unit];warn;crit;min;max``; exit status 0, 1, 2 or 3.

Law: nothing of the host (a name with a ``|`` in it, say) changes what is the text and what a figure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from network_health.cli.protocol_metrics import Figure, figures
from network_health.settings import Settings

UNKNOWN = 3
_STATUSES = {"INFO": 0, "WARNING": 1, "CRITICAL": 2}
_NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")


def exit_status(content: Mapping[str, Any]) -> int:
    """0 OK, 1 WARNING, 2 CRITICAL; 3 where a collector failed and nothing is known to be wrong."""
    return UNKNOWN if content["status"] == "check_failed" else _STATUSES[content["severity"]]


def status_line(
    content: Mapping[str, Any], settings: Settings, status: int, troubles: Sequence[str] = ()
) -> str:
    """The one line; ``troubles`` are what else did not work.

    A limit is given as critical too where a breach is CRITICAL at once.
    """
    critical = settings.critical_after_checks == 1
    performance = " ".join(_figure(figure, critical=critical) for figure in figures(content, settings))
    return f"NETWORK {_NAMES[status]} - {_text('; '.join((*troubles, content['details'])))} | {performance}"


def unknown_line(reasons: Sequence[str]) -> str:
    """The one line when there was no check."""
    return f"NETWORK UNKNOWN - {_text('; '.join(reasons))}"


def _figure(figure: Figure, *, critical: bool) -> str:
    label = "".join("_" if sign in "=|" or not sign.isprintable() else sign for sign in figure.name)
    label = label.replace("'", "''")
    limit = "" if figure.limit is None else _number(figure.limit)
    maximum = "100" if figure.unit == "%" else ""
    fields = (limit, limit if critical else "", "0", maximum)
    return f"'{label}'={_number(figure.value)}{figure.unit};{';'.join(fields)}".rstrip(";")


def _number(value: float) -> str:
    """Never with an exponent, which not every reader of figures takes."""
    return f"{value:.5f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _text(text: str) -> str:
    return "".join("/" if sign == "|" else sign if sign.isprintable() else " " for sign in text)
