"""Draws cost against load as an SVG, with logarithmic axes and one panel for each kind of load."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bench.results import LoadResult

WIDTH, HEIGHT = 1140, 440
LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT, PANEL = 52, 84, 196, 296, 380
LABEL_STEP = 18

#: Colour, width, dashes and name of a line; drawn in this order, so that this project is on top.
STYLE = {
    "reference": ("#d55e00", 2, "", "reference agent"),
    "psutil": ("#c98a00", 2, "", "psutil"),
    "exporter": ("#b0568a", 2, "", "node_exporter"),
    "tool": ("#00805c", 2, "", ""),
    "full_dump": ("#8a8a8a", 1.5, "2 3", "C, full dump"),
    "limit": ("#444444", 1.5, "6 4", "C program"),
    "ours": ("#0060a8", 3.5, "", "this project"),
}
TITLES = {
    "connections": ("Connections by state", "sockets", "ss"),
    "processes": ("Top processes", "processes", "ps"),
    "interfaces": ("Interfaces", "interfaces", "ip -s link"),
}


@dataclass(frozen=True)
class _Line:
    role: str
    name: str
    points: tuple[tuple[int, float], ...]


def svg(results: Sequence[LoadResult]) -> str:
    """The whole picture; kinds with less than two plottable loads are left out."""
    drawn = [panel for kind in TITLES if (panel := _lines(kind, results))]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
        f'height="{HEIGHT}" font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif" role="img">',
        "<title>CPU time of one reading against the load, log-log</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#ffffff"/>',
        _text(20, 30, "CPU milliseconds for one reading, against the load", size=17, weight="600"),
    ]
    for number, (kind, lines) in enumerate(drawn):
        parts.append(f'<g transform="translate({number * PANEL + LEFT} {TOP})">')
        parts += _panel(kind, lines)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lines(kind: str, results: Sequence[LoadResult]) -> tuple[str, list[_Line]] | None:
    loads = sorted(
        (result for result in results if result.kind == kind and result.number), key=lambda c: c.number or 0
    )
    lines = []
    for role, (_, _, _, name) in STYLE.items():
        points = tuple((c.number, ms) for c in loads if c.number and (ms := c.cpu_ms(role)))
        if len(points) > 1:
            lines.append(_Line(role, name or TITLES[kind][2], points))
    return (kind, lines) if lines else None


def _panel(kind: str, lines: list[_Line]) -> Iterator[str]:
    title, noun, _ = TITLES[kind]
    loads = sorted({load for line in lines for load, _ in line.points})
    costs = [ms for line in lines for _, ms in line.points]
    bottom, top = math.floor(math.log10(min(costs))), math.ceil(math.log10(max(costs)))
    x = _scale(math.log10(loads[0]), math.log10(loads[-1]), 12, PLOT_WIDTH - 12)
    y = _scale(bottom, top, PLOT_HEIGHT, 0)
    yield _text(-LEFT + 20, -22, title, size=15, weight="600")
    for decade in range(bottom, top + 1):
        at = y(10.0**decade)
        yield f'<path d="M0 {at:.1f}H{PLOT_WIDTH}" stroke="#dddddd"/>'
        yield _text(
            -8,
            at + 4,
            _short(10**decade) if decade > 0 else f"{10.0**decade:.10g}",
            anchor="end",
            fill="#555555",
        )
    for load in loads:
        yield f'<path d="M{x(load):.1f} {PLOT_HEIGHT}v5" stroke="#888888"/>'
        yield _text(x(load), PLOT_HEIGHT + 21, _short(load), anchor="middle", fill="#555555")
    yield _text(PLOT_WIDTH / 2, PLOT_HEIGHT + 42, noun, anchor="middle", fill="#555555")
    for line in lines:
        yield _polyline(line, x, y)
    ends = [y(line.points[-1][1]) for line in lines]
    for line, end, at in zip(lines, ends, _spread(ends), strict=True):
        yield from _label(line, end, at)


def _polyline(line: _Line, x: Callable[[float], float], y: Callable[[float], float]) -> str:
    colour, width, dashes, _ = STYLE[line.role]
    path = "M" + "L".join(f"{x(load):.1f} {y(ms):.1f}" for load, ms in line.points)
    dots = "".join(
        f'<circle cx="{x(load):.1f}" cy="{y(ms):.1f}" r="{width + 1}" fill="{colour}"/>'
        for load, ms in line.points
    )
    stroke = f'stroke="{colour}" stroke-width="{width}"' + (f' stroke-dasharray="{dashes}"' if dashes else "")
    return f'<path d="{path}" fill="none" {stroke}/>{dots}'


def _label(line: _Line, end: float, at: float) -> Iterator[str]:
    colour, _, _, _ = STYLE[line.role]
    yield f'<path d="M{PLOT_WIDTH - 4} {end:.1f}L{PLOT_WIDTH + 8} {at:.1f}" stroke="{colour}" opacity="0.5"/>'
    weight = "700" if line.role == "ours" else "400"
    yield _text(PLOT_WIDTH + 12, at + 4, line.name, fill=colour, weight=weight)


def _spread(wanted: list[float]) -> list[float]:
    """Positions of labels, at least `LABEL_STEP` apart and as near to the wanted ones as possible."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    places = sorted(wanted)
    for _ in range(200):
        for i in range(len(places) - 1):
            overlap = LABEL_STEP - (places[i + 1] - places[i])
            if overlap > 0:
                places[i] -= overlap / 2
                places[i + 1] += overlap / 2
    spread = [0.0] * len(wanted)
    for index, place in zip(order, places, strict=True):
        spread[index] = place
    return spread


def _scale(low: float, high: float, first: float, last: float) -> Callable[[float], float]:
    return lambda value: first + (math.log10(value) - low) / ((high - low) or 1) * (last - first)


def _short(load: int) -> str:
    return f"{load // 1000}k" if load % 1000 == 0 else f"{load:,}"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 13,
    weight: str = "400",
    anchor: str = "start",
    fill: str = "#222222",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{fill}">{escape(text)}</text>'
    )
