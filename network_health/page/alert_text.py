"""Formats the alerts of a history as text: how often, since when, how long, who. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from network_health.alerting import duration_text
from network_health.history import KeptAlert
from network_health.page.overview import Overview
from network_health.page.style import Clock, Style, cropped, indented, short_number
from network_health.reporting import BOLD, DIM, RED, YELLOW, Cell, outline, printable, table

_COLOURS = {"WARNING": YELLOW, "CRITICAL": RED}
_ENDS = {"normal": "resolved", "gone": "ended (gone)", "settings": "ended (settings changed)"}
_MAX_NAME = 36
#: Of more, the newest are shown; `--alerts` shows all.
_MAX_ALERTS = 20


def alert_lines(found: Overview, clock: Clock, style: Style, *, complete: bool) -> Iterator[str]:
    """The alerts, the newest last; if ``complete`` all of them with their culprits."""
    active = sum(alert.end is None for alert in found.alerts)
    remark = f"{len(found.alerts)}, {active} of them active; the newest last" if found.alerts else "none"
    yield style.title("Alerts", remark)
    earlier = 0 if complete else max(len(found.alerts) - _MAX_ALERTS, 0)
    if not complete:
        yield from _repeated(found, style)
    if earlier:
        yield f"  {earlier} earlier ones are shown by --alerts"
    for alert in found.alerts[earlier:]:
        yield _first_line(alert, found, clock, style)
        yield from style.wrapped(printable(alert.details), "    ")
        if complete and alert.culprits:
            for line in outline(alert.culprits):
                indent = "      " + " " * (len(line) - len(line.lstrip()))
                yield from style.wrapped(line.strip(), indent, DIM)


def _repeated(found: Overview, style: Style) -> Iterator[str]:
    """How often, and how long in all, what was active more than once."""
    by_kind: dict[tuple[str, str, str], list[KeptAlert]] = {}
    for alert in found.alerts:
        by_kind.setdefault((alert.check, alert.subject, alert.aspect), []).append(alert)
    rows = []
    for kind, alerts in sorted(by_kind.items(), key=lambda item: (-len(item[1]), item[0])):
        if len(alerts) > 1:
            name = " ".join(part for part in kind if part).replace("_", " ")
            lasted = duration_text(sum(_lasted_s(alert, found) for alert in alerts))
            highest = short_number(max(alert.highest for alert in alerts))
            rows.append(list(map(Cell, (cropped(name, _MAX_NAME), str(len(alerts)), lasted, highest))))
    if rows:
        head = ("more than once", ">times", ">in all", ">highest")
        yield from indented(table(head, rows[:_MAX_ALERTS], style.painter))


def _lasted_s(alert: KeptAlert, found: Overview) -> float:
    """An active alert lasts until the last check."""
    end = alert.end if alert.end is not None else found.last_at
    return 0.0 if end is None else max(end - alert.begin, 0.0)


def _first_line(alert: KeptAlert, found: Overview, clock: Clock, style: Style) -> str:
    if alert.end is None:
        state = style.painter.paint("active at the last check" if found.is_stopped else "active", BOLD)
    else:
        state = _ENDS.get(alert.end_reason or "", "ended (no check saw how)")
    severity = style.painter.paint(f"{cropped(alert.severity, 8):8}", _COLOURS.get(alert.severity, ""))
    return f"  {clock.full(alert.begin)}  {severity}  {state}, {duration_text(_lasted_s(alert, found))}"
