"""Formats text for a terminal: aligned tables, colours, printable characters only.

Guarantees: `printable` and `table` are pure, and a printable text contains no control character.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

#: ANSI codes; see console_codes(4).
GREEN, YELLOW, RED, BOLD, DIM = "32", "33", "31", "1", "2"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and the ANSI code of its colour, if any."""

    text: str
    colour: str = ""


@dataclass(frozen=True, slots=True)
class Painter:
    """Adds ANSI sequences to a text, or leaves it as it is."""

    on: bool

    def paint(self, text: str, colour: str) -> str:
        """``text`` in that colour."""
        return f"\x1b[{colour}m{text}\x1b[0m" if self.on and colour and text else text


def use_colour(out: TextIO | None) -> bool:
    """Whether ``out`` shows colours and the user wants them; see no-color.org."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and out is not None and out.isatty()


def printable(text: object) -> str:
    """The text with ``?`` for each character that could control a terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(text))


def print_errors(prog: str, sentences: Iterable[str]) -> None:
    """Write each sentence to stderr, after the name of the program.

    Raises:
        OSError: stderr cannot be written.
    """
    for sentence in sentences:
        print(f"{prog}: {printable(sentence)}", file=sys.stderr)


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], painter: Painter) -> list[str]:
    """Lines with two spaces between columns; a head that starts with ``>`` aligns its column to the right."""
    titles = [Cell(title.lstrip(">"), DIM) for title in head]
    widths = [max(_width(row[i].text) for row in (titles, *rows)) for i in range(len(head))]
    lines = []
    for row in (titles, *rows):
        cells = []
        for title, cell, width in zip(head, row, widths, strict=True):
            padding = " " * (width - _width(cell.text))
            text = painter.paint(cell.text, cell.colour)
            cells.append(padding + text if title.startswith(">") else text + padding)
        lines.append("  ".join(cells).rstrip())
    return lines


def _width(text: str) -> int:
    """Columns on a terminal: 2 for an East Asian wide character, 0 for a combining one."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
