"""Defines how the history is written on one terminal: widths, colours, local times. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from network_health.reporting import BOLD, DIM, Painter, cell_width, printable

MIN_WIDTH = 80
_DAY_S = 86400.0


@dataclass(frozen=True, slots=True)
class Style:
    """One terminal: its width in columns, its colours, the characters of its sparklines from low to high."""

    width: int
    painter: Painter
    levels: str

    def title(self, title: str, remark: str) -> str:
        """The first line of a block."""
        return f"{self.painter.paint(title, BOLD)}  {self.painter.paint(remark, DIM)}"

    def wrapped(self, text: str, indent: str = "", colour: str = "") -> list[str]:
        """A text as lines of this width, each with the indent; longer words are broken."""
        width = max(self.width, MIN_WIDTH)
        lines = textwrap.wrap(
            text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )
        return [self.painter.paint(line, colour) for line in lines]


class Clock:
    """Writes times in this host's time zone; in a range with two offsets, each time has its zone."""

    def __init__(self, since: float, until: float) -> None:
        first, last = _local(since), _local(until)
        changes = first.utcoffset() != last.utcoffset()
        self._zone = " %Z" if changes else ""
        self._short = "%H:%M" if until - since <= _DAY_S else "%m-%d %H:%M"
        one_zone = f"times in {last.tzname()} (UTC{last.isoformat()[-6:]})"
        self.zone = "the time zone's offset changes in this range" if changes else one_zone

    def full(self, at: float) -> str:
        """``2026-11-25 03:12:04``."""
        return _local(at).strftime(f"%Y-%m-%d %H:%M:%S{self._zone}")

    def short(self, at: float | None) -> str:
        """The same without what is clear from the range, for a table."""
        return "-" if at is None else _local(at).strftime(self._short)


def _local(at: float) -> datetime:
    return datetime.fromtimestamp(at).astimezone()


def indented(lines: Sequence[str]) -> list[str]:
    """Each line two columns to the right."""
    return [f"  {line}" for line in lines]


def short_number(value: float | None) -> str:
    """At most seven characters; no decimals of a whole number, two of a small one."""
    if value is None:
        return "-"
    if value == round(value) and value < 999999.5:
        return f"{value:.0f}"
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 999.95 else f"{value:.0f}" if value < 999999.5 else f"{value:.2g}"


def cropped(name: str, width: int) -> str:
    """A printable name of at most ``width`` columns."""
    text = printable(name[: 4 * width])
    if cell_width(text) <= width:
        return text
    while cell_width(text) > width - 1:
        text = text[:-1]
    return f"{text}~"
