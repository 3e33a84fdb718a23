"""Formats a report as a monitoring plugin for Nagios or Icinga prints it. Pure.

From the Monitoring Plugins' development guidelines: one line on stdout, ``STATUS - text | metrics``, each
metric ``'label'=value[unit];warn;crit;min;max``; exit status 0, 1, 2 or 3.

Guarantees: no name on the host, such as one with a ``|`` in it, breaks this format. An unknown value is
``U``, never 0. The line is shorter than 4 KiB, in any encoding: where there are more findings or interfaces
than fit, the first findings and the worst interfaces are printed, and the sums are still those of all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from network_health.reporting import Content, Metric, host_metrics, link_metrics, link_totals, worst_first
from network_health.settings import Settings

UNKNOWN = 3
_STATUSES = {"INFO": 0, "WARNING": 1, "CRITICAL": 2}
_NAMES = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
#: What transports such as NSCA cut; with the end of the line.
_MAX_BYTES = 4096
_MAX_TEXT_BYTES = 1500
_MAX_SENTENCE_BYTES = 600


def exit_status(content: Content) -> int:
    """0 OK, 1 WARNING, 2 CRITICAL; 3 if a collector failed and there is no finding."""
    return UNKNOWN if content["status"] == "check_failed" else _STATUSES[content["severity"]]


def status_line(content: Content, settings: Settings, status: int, errors: Sequence[str] = ()) -> str:
    """The one line; ``errors`` are failures outside of the check.

    If each breach is CRITICAL at once, the limit is printed as the critical limit, too.
    """
    critical = settings.critical_after_checks == 1
    links = content["metrics"].get("interfaces", ())
    sums = list(link_totals(links, settings)) if links else []
    fixed = _joined((*sums, *host_metrics(content, settings)), critical)
    start = f"NETWORK {_NAMES[status]} - {_text((*errors, *content['details'].split('; ')))} | "
    left = _MAX_BYTES - 1 - _size(start) - _size(fixed)
    shown = {}
    for number in worst_first(links, content["metrics"], settings):
        text = _joined(link_metrics(links[number], settings), critical) + " "
        left -= _size(text)
        if left < 0:
            break
        shown[number] = text
    return f"{start}{''.join(shown[number] for number in sorted(shown))}{fixed}"


def unknown_line(reasons: Sequence[str]) -> str:
    """The one line if there was no check."""
    return f"NETWORK UNKNOWN - {_text(reasons)}"


def _joined(metrics: Iterable[Metric], critical: bool) -> str:
    return " ".join(_performance(metric, critical) for metric in metrics)


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


def _text(sentences: Sequence[str]) -> str:
    """The first sentences, and the number of those that do not fit; a long one is cut."""
    shown: list[str] = []
    left = _MAX_TEXT_BYTES
    for sentence in sentences:
        clean = "".join("/" if char == "|" else char if char.isprintable() else " " for char in sentence)
        clean = _cut(clean)
        left -= _size(clean) + 2
        if left < 0:
            return "; ".join((*shown, f"{len(sentences) - len(shown)} more findings"))
        shown.append(clean)
    return "; ".join(shown)


def _cut(text: str) -> str:
    if _size(text) <= _MAX_SENTENCE_BYTES:
        return text
    while _size(text) > _MAX_SENTENCE_BYTES - 4:
        text = text[: len(text) * 9 // 10]
    return text + " ..."


def _size(text: str) -> int:
    """The bytes of a text in the encoding that needs the most: ASCII, with escapes."""
    return len(text.encode("ascii", "backslashreplace"))
