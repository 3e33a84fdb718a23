"""Formats the overview of a history as text for a terminal. Pure.

Guarantees: no control character of a name reaches the terminal; lines are wrapped at its width, but not below
80 columns.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from network_health.alerting import duration_text
from network_health.page.alert_text import alert_lines
from network_health.page.overview import InterfaceValues, Overview, Values
from network_health.page.style import MIN_WIDTH, Clock, Style, cropped, indented, short_number
from network_health.reporting import BOLD, DIM, YELLOW, Cell, cell_width, sparkline, table

#: More are counted.
_MAX_INTERFACES, _MAX_IDLE, _MAX_STATES, _MAX_GAPS = 20, 10, 6, 5
_MAX_NAME = 15
_HEAD = ("", "", "", ">average", ">95%", ">highest", ">at", ">limit")
#: The column of the sparkline, which gets what the others leave of the line, and its least and most cells.
_SPARK, _MIN_CELLS, _MAX_CELLS = 2, 8, 60
_TITLES = [Cell(title.lstrip(">")) for title in _HEAD]
_DIRECTIONS = {"tx": "out", "rx": "in"}


def as_text(found: Overview, style: Style, *, alerts_only: bool = False) -> str:
    """The overview; with ``alerts_only`` all alerts with all their culprits instead of the metrics."""
    clock = Clock(found.since, found.until)
    blocks: list[Iterator[str]] = [_head(found, clock, style)]
    if not alerts_only:
        blocks += [_interfaces(found, clock, style), _connections(found, clock, style)]
    blocks.append(alert_lines(found, clock, style, complete=alerts_only))
    return "\n\n".join("\n".join(lines) for lines in map(list, blocks) if lines) + "\n"


def _head(found: Overview, clock: Clock, style: Style) -> Iterator[str]:
    length = style.painter.paint(duration_text(found.until - found.since), BOLD)
    yield f"{clock.full(found.since)} to {clock.full(found.until)}  {length}"
    if found.first_at is None or found.last_at is None:
        yield "The history has no checks yet."
        return
    kept = f"kept since {clock.full(found.first_at)}, a check every {found.interval_s:g} s"
    yield from style.wrapped(f"{clock.zone}; {kept}", colour=DIM)
    if found.is_stopped:
        ago = f"{clock.full(found.last_at)}, {duration_text(found.now - found.last_at)} ago"
        says = f"The last check was at {ago}: the agent does not run, or cannot write."
        yield from style.wrapped(says, colour=YELLOW)
    for before, after in found.set_back[:_MAX_GAPS]:
        says = (
            f"The clock was set back from {clock.full(before)} to {clock.full(after)}: this time was twice."
        )
        yield from style.wrapped(says, colour=YELLOW)
    longest = sorted(found.gaps, key=lambda gap: gap.since - gap.until)[:_MAX_GAPS]
    for gap in sorted(longest, key=lambda gap: gap.since):
        lasted = duration_text(gap.until - gap.since)
        says = f"No checks for {lasted}: {clock.full(gap.since)} to {clock.full(gap.until)}"
        yield from style.wrapped(says, colour=YELLOW)
    if len(found.gaps) > len(longest):
        more = len(found.gaps) - len(longest)
        yield from style.wrapped(f"and {more} shorter times without checks", colour=YELLOW)


def _interfaces(found: Overview, clock: Clock, style: Style) -> Iterator[str]:
    if not found.interfaces:
        return
    idle = [values for values in found.interfaces if values.is_idle and len(found.interfaces) > 1]
    busy = [values for values in found.interfaces if values not in idle]
    shown = busy[:_MAX_INTERFACES]
    basis = "the highest second of a check" if found.rate_basis == "peak" else "the average of a check"
    yield style.title("Interfaces", f"Mbps, {basis}; a full bar is the limit, ! is above it")
    metrics = [
        (values.name if direction == "tx" else "", _DIRECTIONS[direction], rates)
        for values in shown
        for direction, rates in values.rates.items()
    ]
    if metrics:
        yield from _table(metrics, clock, style)
    for values in shown:
        yield from _losses(values, clock, style)
    if len(busy) > len(shown):
        yield f"  and {len(busy) - len(shown)} more, further below their limits (--interface NAME)"
    if idle:
        more = f" and {len(idle) - _MAX_IDLE} more" if len(idle) > _MAX_IDLE else ""
        names = ", ".join(cropped(values.name, _MAX_NAME) for values in idle[:_MAX_IDLE])
        yield from style.wrapped(f"without traffic: {names}{more}", "  ")


def _table(metrics: Sequence[tuple[str, str, Values]], clock: Clock, style: Style) -> list[str]:
    """A line for each metric: (name, direction, values)."""
    rows = [_row(*metric, clock) for metric in metrics]
    others = [max(cell_width(row[column].text) for row in (_TITLES, *rows)) for column in range(len(_HEAD))]
    left = max(style.width, MIN_WIDTH) - sum(others) - 2 * len(_HEAD)
    cells = min(max(left, _MIN_CELLS), _MAX_CELLS)
    for row, (_, _, values) in zip(rows, metrics, strict=True):
        row[_SPARK] = Cell(_spark(values.shares, cells, style.levels))
    return indented(table(_HEAD, rows, style.painter))


def _spark(shares: Sequence[float | None], cells: int, levels: str) -> str:
    """A cell is as high as the highest of its shares."""
    edges = [len(shares) * cell // cells for cell in range(cells + 1)]
    parts = (shares[begin:end] for begin, end in pairwise(edges))
    highest = [max((share for share in part if share is not None), default=None) for part in parts]
    return "".join("!" if cell.over else cell.char for cell in sparkline(highest, 1.0, levels))


def _row(name: str, direction: str, values: Values, clock: Clock) -> list[Cell]:
    """The cells of a line, but for the sparkline."""
    estimated = "" if values.is_exact or values.p95 is None else "~"
    return [
        Cell(cropped(name, _MAX_NAME)),
        Cell(direction),
        Cell(""),
        Cell(short_number(values.average)),
        Cell(estimated + short_number(values.p95)),
        Cell(short_number(values.highest), YELLOW if values.is_over else ""),
        Cell(clock.short(values.highest_at)),
        Cell(short_number(values.limit)),
    ]


def _losses(values: InterfaceValues, clock: Clock, style: Style) -> Iterator[str]:
    kinds = (("errors", values.errors), ("drops", values.drops))
    most = [
        f"{lost.highest:.0f} new {kind} at {clock.full(lost.highest_at)}"
        for kind, lost in kinds
        if lost.highest and lost.highest_at is not None
    ]
    if most:
        says = f"{cropped(values.name, _MAX_NAME)}: the most in a check: {', '.join(most)}"
        yield from style.wrapped(says, "  ", YELLOW)


def _connections(found: Overview, clock: Clock, style: Style) -> Iterator[str]:
    if not found.connections:
        return
    yield style.title("Connections", "in all and by state, the most first")
    states = [(n, values) for n, values in found.connections.items() if n != "total" and values.highest]
    shown = [(n, values) for n, values in found.connections.items() if n == "total"] + states[:_MAX_STATES]
    metrics = [("UDP" if n == "NONE" else n, "", values) for n, values in shown]
    yield from _table(metrics, clock, style)
