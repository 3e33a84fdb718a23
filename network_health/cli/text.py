"""Text for people: tables whose columns stand in line, colours where they can be seen. Pure but `use_colour`.

Law: nothing of the host reaches a terminal but signs that can be printed.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

GOOD, BAD, WORSE, TITLE, DIM = "32", "33", "31", "1", "2"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text with the colour that it is painted in, if any."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Painter:
    """Paints by ANSI sequences, or not at all."""

    on: bool

    def paint(self, text: str, colour: str) -> str:
        """``text`` in that colour."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.on and colour and text else text


def use_colour(out: TextIO | None) -> bool:
    """Whether colours can be seen on ``out`` and are wanted; see no-color.org."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and out is not None and out.isatty()


def plain(text: object) -> str:
    """Text that a terminal shows and does not obey."""
    return "".join(sign if sign.isprintable() else "?" for sign in str(text))


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], painter: Painter) -> list[str]:
    """Lines with two blanks between columns; a head that starts with ``>`` has its column to the right."""
    titles = [Cell(title.lstrip(">"), DIM) for title in head]
    widths = [max(_width(row[i].text) for row in (titles, *rows)) for i in range(len(head))]
    lines = []
    for row in (titles, *rows):
        cells = []
        for title, cell, width in zip(head, row, widths, strict=True):
            blanks = " " * (width - _width(cell.text))
            text = painter.paint(cell.text, cell.colour)
            cells.append(blanks + text if title.startswith(">") else text + blanks)
        lines.append("  ".join(cells).rstrip())
    return lines


def _width(text: str) -> int:
    """Columns on a terminal: East Asian wide signs take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        for sign in text
    )
