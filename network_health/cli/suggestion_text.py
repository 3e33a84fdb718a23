"""Formats what ``network-health suggest`` found, to read or as JSON. Pure.

Guarantees: a text has only printable characters, and a list of alerts has at most `MAX_ALERTS` lines.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from network_health.alerting import duration_text
from network_health.history import Advice, Coverage, Normal, ReplayedAlert, Suggestion
from network_health.reporting import BOLD, YELLOW, Cell, Painter, printable, table

#: So many alerts and subjects of one limit are listed; the number of the others is given.
MAX_ALERTS, MAX_SUBJECTS = 20, 5
_DAY_S = 86400.0


def coverage_text(coverage: Coverage) -> str:
    """How much history there is: ``30 days``, or hours or minutes if it is less than two days."""
    if coverage.covered_s < 3600:
        return f"{coverage.covered_s / 60:.0f} minutes"
    if coverage.covered_s < 2 * _DAY_S:
        return f"{coverage.covered_s / 3600:.1f} hours"
    return f"{coverage.covered_s / _DAY_S:.0f} days"


def advice_text(advice: Advice, recorded: int, painter: Painter, *, chosen: bool) -> str:
    """The page to read.

    ``recorded`` is the number of alerts that the agent had. With ``chosen`` the replayed settings are the
    user's.
    """
    parts = [_kept_lines(advice.coverage)]
    if not chosen:
        parts += [_limit_lines(advice.suggestions, painter), _config_lines(advice, painter)]
    parts.append(_replay_lines(advice, recorded, painter, chosen=chosen))
    return "\n\n".join("\n".join(lines) for lines in map(list, parts)) + "\n"


def advice_json(advice: Advice, recorded: int) -> dict[str, Any]:
    """The same as plain values; lists of alerts are whole."""
    return {
        "history": asdict(advice.coverage),
        "limits": [asdict(each) for each in advice.suggestions],
        "config": dict(advice.config),
        "recorded_alerts": recorded,
        "replay": {
            "present": [asdict(alert) for alert in advice.present_alerts],
            "config": [asdict(alert) for alert in advice.alerts],
        },
    }


def _kept_lines(coverage: Coverage) -> Iterator[str]:
    if coverage.since is None or coverage.until is None:
        yield "There is no check in this range."
        return
    yield f"{coverage_text(coverage)} of history, from {_time(coverage.since)} to {_time(coverage.until)}"
    exact = f"{coverage.checks:,} checks"
    if coverage.exact_since is not None:
        exact += f" since {_time(coverage.exact_since)}"
    if coverage.summaries:
        exact += f"; {coverage.summaries:,} summaries of the time before"
    yield f"  {exact}"
    if coverage.gaps:
        gaps = "1 gap" if coverage.gaps == 1 else f"{coverage.gaps:,} gaps"
        yield f"  {gaps} without checks, {duration_text(coverage.gaps_s)} in all"
    if coverage.summaries:
        yield "  Of summaries the highest values are used: that overstates the alerts before then."


def _limit_lines(suggestions: Sequence[Suggestion], painter: Painter) -> Iterator[str]:
    yield painter.paint("What was normal (the highest value of each five minutes)", BOLD)
    head = ("limit", "of", ">median", ">95 %", ">99.9 %", ">highest", ">now", ">suggested")
    rows = [row for each in suggestions if each.normal for row in _rows(each)]
    yield from table(head, rows, painter) if rows else ("nothing was measured",)
    yield ""
    for each in suggestions:
        if each.normal:
            yield f"  {each.setting}: {printable(each.reason)}"
    unknown = [each.setting for each in suggestions if not each.normal]
    if unknown:
        yield f"  0 all the time, or not measured: {', '.join(unknown)}"


def _rows(suggestion: Suggestion) -> Iterator[Sequence[Cell]]:
    for number, normal in enumerate(suggestion.normal[:MAX_SUBJECTS]):
        values = normal.median, normal.p95, normal.p999, normal.highest
        limits = ("", "")
        if number == 0:
            limits = _value(suggestion.present), _value(suggestion.suggested)
        colour = YELLOW if suggestion.suggested != suggestion.present else ""
        yield (
            Cell("" if number else suggestion.setting),
            Cell(printable(_subject(normal))),
            *(Cell(_number(value)) for value in values),
            Cell(limits[0]),
            Cell(limits[1], colour),
        )
    more = suggestion.normal[MAX_SUBJECTS:]
    if more:
        highest = _number(max(each.highest for each in more))
        yield (
            Cell(""),
            Cell(f"{len(more):,} more"),
            Cell(""),
            Cell(""),
            Cell(""),
            Cell(highest),
            *[Cell("")] * 2,
        )


def _config_lines(advice: Advice, painter: Painter) -> Iterator[str]:
    if not advice.config:
        yield painter.paint("All limits fit: there is nothing to change.", BOLD)
        return
    yield painter.paint("To put into the config of the agent", BOLD)
    yield json.dumps(dict(advice.config), indent=4)
    if "alert_after_checks" in advice.config:
        yield "alert_after_checks: most alerts were bursts of one or two checks, which are left out with it."
        yield "A link that is down is then reported as many checks later."


def _replay_lines(advice: Advice, recorded: int, painter: Painter, *, chosen: bool) -> Iterator[str]:
    span, then, now = coverage_text(advice.coverage), advice.present_alerts, advice.alerts
    count = "1 alert" if len(then) == 1 else f"{len(then):,} alerts"
    sentence = f"{count} in {span} with the present settings"
    if advice.config:
        suggested = "the suggested ones"
        which = ", ".join(f"{k}={json.dumps(v)}" for k, v in advice.config.items()) if chosen else suggested
        sentence += f", {len(now):,} with {which}"
    yield painter.paint(sentence, BOLD)
    yield f"  recorded by the agent, with the settings of then: {recorded:,}"
    yield f"  present: {_by_subject(then)}"
    if advice.config:
        yield f"  {'chosen' if chosen else 'suggested'}: {_by_subject(now)}"
    yield from _alert_lines(now, painter)


def _by_subject(alerts: Sequence[ReplayedAlert]) -> str:
    """``350 tx_rate eth0, 62 connections``, the most frequent first."""
    counts = Counter(_name(alert.check, alert.subject) for alert in alerts).most_common()
    named = [f"{count:,} {printable(name)}" for name, count in counts[:MAX_SUBJECTS]]
    more = sum(count for _, count in counts[MAX_SUBJECTS:])
    return ", ".join(named + ([f"{more:,} others"] if more else [])) or "none"


def _alert_lines(alerts: Sequence[ReplayedAlert], painter: Painter) -> Iterator[str]:
    ordered = sorted(alerts, key=lambda alert: alert.began)
    if len(ordered) > MAX_ALERTS:
        yield f"  the latest {MAX_ALERTS} of {len(ordered):,}:"
    rows = [
        (
            Cell("  " + _time(alert.began)),
            Cell(duration_text(alert.lasted_s) if alert.ended else "still active"),
            Cell(alert.severity, YELLOW),
            Cell(printable(alert.sentence) + ("" if alert.is_exact else " (summary)")),
        )
        for alert in ordered[-MAX_ALERTS:]
    ]
    if rows:
        yield from table(("  began", ">lasted", "severity", "at its highest"), rows, painter)


def _subject(normal: Normal) -> str:
    return normal.check if normal.subject == "host" else normal.subject


def _name(check: str, subject: str) -> str:
    return check if subject == "host" else f"{check} {subject}"


def _value(value: float | None) -> str:
    return "off" if value is None else _number(value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
