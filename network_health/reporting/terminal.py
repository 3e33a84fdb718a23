"""Formats text for a terminal: aligned tables, outlines, colours, printable characters only. Pure.

Guarantees: `printable`, `table` and `outline` return no control character if the texts of a `Cell` have none.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

#: ANSI codes; see console_codes(4).
GREEN, YELLOW, RED, BOLD, DIM = "32", "33", "31", "1", "2"
#: A list in an outline is cut after so many values: an interface may have thousands of addresses.
_MAX_LISTED = 5
#: A list of nested values has a line or more for each.
_MAX_NESTED = 20


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


def printable(text: object) -> str:
    """The text with ``?`` for each character that could control a terminal."""
    return "".join(char if char.isprintable() else "?" for char in str(text))


def table(head: Sequence[str], rows: Sequence[Sequence[Cell]], painter: Painter) -> list[str]:
    """Lines with two spaces between columns; a head that starts with ``>`` aligns its column to the right."""
    titles = [Cell(title.lstrip(">"), DIM) for title in head]
    widths = [max(cell_width(row[i].text) for row in (titles, *rows)) for i in range(len(head))]
    lines = []
    for row in (titles, *rows):
        cells = []
        for title, cell, width in zip(head, row, widths, strict=True):
            padding = " " * (width - cell_width(cell.text))
            text = painter.paint(cell.text, cell.colour)
            cells.append(padding + text if title.startswith(">") else text + padding)
        lines.append("  ".join(cells).rstrip())
    return lines


def cell_width(text: str) -> int:
    """Columns on a terminal: 2 for an East Asian wide character, 0 for a combining one."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def outline(value: object) -> Iterator[str]:
    """Simple values in one line; each nested value indented below its name."""
    if isinstance(value, Mapping):
        value = {name: part for name, part in value.items() if part not in (None, "", [])}
        flat = [f"{printable(k)} {inline(v)}" for k, v in value.items() if _is_flat(v)]
        if flat:
            yield ", ".join(flat)
        for name, part in value.items():
            if not _is_flat(part):
                yield f"{printable(name)}:"
                yield from (f"  {line}" for line in outline(part))
    elif isinstance(value, list | tuple):
        for part in value[:_MAX_NESTED]:
            yield from outline(part)
        if len(value) > _MAX_NESTED:
            yield f"({len(value) - _MAX_NESTED} more)"
    else:
        yield printable(value)


def _is_flat(value: object) -> bool:
    if isinstance(value, list | tuple):
        return not any(isinstance(part, Mapping | list | tuple) for part in value)
    return not isinstance(value, Mapping)


def inline(value: object) -> str:
    """A list is cut after `_MAX_LISTED` values: an interface may have thousands of addresses."""
    if not isinstance(value, list | tuple):
        return printable(value)
    more = len(value) - _MAX_LISTED
    listed = " ".join(map(printable, value[:_MAX_LISTED]))
    return f"{listed} ({more} more)" if more > 0 else listed
