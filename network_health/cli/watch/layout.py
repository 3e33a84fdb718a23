"""Divides the lines of the screen between its parts, and fits text to a width. Pure.

Guarantees: the parts never get more lines than the screen has; a part gets its minimum before any part
after it does. Widths are columns of a terminal, of which a wide character takes two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len
from rich.text import Text

#: Between two columns.
BETWEEN = "  "


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the screen: it needs at least ``min_lines`` and can use up to ``max_lines``.

    ``draw`` takes the number of lines that the block gets, and returns at most so many.
    """

    min_lines: int
    max_lines: int
    draw: Callable[[int], list[Text]]

    @classmethod
    def of(cls, lines: Sequence[Text], min_lines: int = 1) -> Block:
        """A block that shows the first of ``lines``."""
        return cls(min(min_lines, len(lines)), len(lines), lambda height: list(lines[:height]))

    def below_blank_line(self) -> Block:
        """The same block below a blank line; an empty block stays empty."""
        if not self.max_lines:
            return self
        return Block(self.min_lines + 1, self.max_lines + 1, lambda height: [Text(), *self.draw(height - 1)])


def heights(blocks: Mapping[str, Block], height: int) -> dict[str, int]:
    """The number of lines of each block; ``blocks`` are in the order of their priority.

    Each gets its minimum in that order, if enough is left; then all grow by a line at a time.
    """
    given = {}
    left = height
    for name, block in blocks.items():
        given[name] = block.min_lines if block.min_lines <= left else 0
        left -= given[name]
    growing = [name for name in blocks if given[name]]
    while left > 0 and (growing := [name for name in growing if given[name] < blocks[name].max_lines]):
        for name in growing[:left]:
            given[name] += 1
        left -= len(growing[:left])
    return given


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a line, ``width`` wide; a longer text is cropped."""

    text: str | Text
    width: int
    style: str = ""
    right: bool = False


def line(cells: Sequence[Cell]) -> Text:
    """The cells side by side, with `BETWEEN` between them."""
    joined = Text()
    for i, cell in enumerate(cells):
        text = Text(cell.text, cell.style) if isinstance(cell.text, str) else cell.text
        text = cropped(text, cell.width)
        padding = " " * (cell.width - text.cell_len)
        joined.append(BETWEEN if i else "").append(padding if cell.right else "")
        joined.append_text(text).append("" if cell.right else padding)
    joined.rstrip()
    return joined


def cropped(text: Text, width: int, ellipsis: str = "") -> Text:
    """The text, at most ``width`` wide; the end of one that was cut is the ``ellipsis``."""
    if text.cell_len > width:
        text = text.copy()
        text.truncate(max(width - cell_len(ellipsis), 0), overflow="crop")
        text.append(ellipsis if width >= cell_len(ellipsis) else "")
    return text


def beside(left: Sequence[Text], right: Sequence[Text], width: int) -> list[Text]:
    """The lines of both next to each other, ``left`` at most ``width`` wide."""
    lines = []
    for one, other in zip_longest(left, right, fillvalue=Text()):
        first = cropped(one, width)
        lines.append(first + Text(" " * (width + len(BETWEEN) - first.cell_len)) + other)
    return lines


def wrapped(words: Iterable[str], width: int, gap: str = " ") -> list[str]:
    """The words in lines of at most ``width``; a word is split only if it is longer than that."""
    lines = [""]
    for word in words:
        joined = lines[-1] + gap + word if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines[len(lines) - (not lines[-1]) :] = _split(word, width)
    return lines


def _split(word: str, width: int) -> list[str]:
    parts = [""]
    for char in word:
        if parts[-1] and cell_len(parts[-1]) + cell_len(char) > width:
            parts.append("")
        parts[-1] += char
    return parts
