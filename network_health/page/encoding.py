"""Writes panels as the JSON text that the page's script reads. Pure.

Numbers are comma separated text with five digits, because a browser then reads only those that it draws; an
unknown value is empty. Times are the differences to the time before, in seconds.

Guarantees: no NaN and no infinity.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from network_health.history import Series
from network_health.page.panels import Curve, Panel
from network_health.reporting import printable

#: A value that is no number in JSON, or not known.
_Values = Sequence[float | None]


def encoded(panels: Sequence[Panel], facts: Mapping[str, Any]) -> str:
    """The panels with the ``facts``, as JSON; times that are the same are written once."""
    times: dict[str, int] = {}
    listed = [_panel(panel, times) for panel in panels]
    return json.dumps(dict(facts, panels=listed, times=list(times)), separators=(",", ":"), allow_nan=False)


def _panel(panel: Panel, times: dict[str, int]) -> dict[str, Any]:
    return {
        "group": panel.group,
        "title": panel.title,
        "unit": panel.unit,
        "kind": panel.kind,
        "subject": panel.subject,
        "total": panel.labels.index(panel.total) if panel.total in panel.labels else None,
        "labels": list(map(printable, panel.labels)),
        "limits": [{"label": each.label, "steps": each.steps} for each in panel.limits],
        "levels": [_level(level, panel.labels, times) for level in panel.levels],
    }


def _level(level: Mapping[str, Curve], labels: Sequence[str], times: dict[str, int]) -> dict[str, Any] | None:
    """One resolution: index of its times, period in seconds, and the curves in the order of the labels."""
    if not level:
        return None
    every = [series for curve in level.values() for series in (curve.series, curve.peaks) if series]
    at: Sequence[float] = every[0].at
    if any(series.at != at for series in every):
        at = sorted({time for series in every for time in series.at})
    period_s = max(series.period_s for series in every)
    curves = [_curve(level[label], at) if label in level else None for label in labels]
    return {"t": times.setdefault(_differences(at), len(times)), "p": period_s, "c": curves}


def _curve(curve: Curve, at: Sequence[float]) -> list[str]:
    """Average, highest value and 95th percentile; the last two are empty if they are the average."""
    series, peaks = curve.series, curve.peaks
    average = _numbers(series, series.average, at, curve.factor)
    p95 = _numbers(series, series.p95, at, curve.factor)
    highest = _numbers(series, series.highest, at, curve.factor)
    if peaks is not None and any(value is not None for value in peaks.highest):
        highest = _numbers(peaks, peaks.highest, at, curve.factor)
    return [average, "" if highest == average else highest, "" if p95 == average else p95]


def _numbers(series: Series, values: _Values, at: Sequence[float], factor: float) -> str:
    if series.at != at:
        found = dict(zip(series.at, values, strict=True))
        values = [found.get(time) for time in at]
    if factor != 1.0:
        values = [None if value is None else value * factor for value in values]
    return ",".join(["" if v is None or not math.isfinite(v) else f"{v:.5g}" for v in values])


def _differences(at: Sequence[float]) -> str:
    before = 0
    parts = []
    for time in map(round, at):
        parts.append(str(time - before))
        before = time
    return ",".join(parts)
