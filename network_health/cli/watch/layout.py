"""Which part of the view gets how many lines, and how text is cut to them. Pure.

Laws: the parts get no more lines together than there are; the first in rank has its least lines before
another one gets any. Widths are columns of a terminal, of which a wide sign takes two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text


@dataclass(frozen=True, slots=True)
class Block:
    """A part of the view: it is of use from ``least`` lines on, and has no use for more than ``wanted``.

    ``draw`` is told how many it gets; it draws so many at most.
    """

    least: int
    wanted: int
    draw: Callable[[int], list[Text]]

    @classmethod
    def of(cls, lines: Sequence[Text], least: int = 1) -> Block:
        """One that shows the first of ``lines``."""
        return cls(min(least, len(lines)), len(lines), lambda height: list(lines[:height]))

    def aired(self) -> Block:
        """The same below a blank line; nothing stays nothing."""
        if not self.wanted:
            return self
        return Block(self.least + 1, self.wanted + 1, lambda height: [Text(), *self.draw(height - 1)])


def heights(blocks: Mapping[str, Block], height: int) -> dict[str, int]:
    """The lines of each of ``blocks``, which come in the order of their rank.

    Each gets its least in that order, if there is enough left for it; the rest is dealt out in turns.
    """
    given = {}
    left = height
    for name, block in blocks.items():
        given[name] = block.least if block.least <= left else 0
        left -= given[name]
    growing = [name for name in blocks if given[name]]
    while left > 0 and (growing := [name for name in growing if given[name] < blocks[name].wanted]):
        for name in growing[:left]:
            given[name] += 1
        left -= len(growing[:left])
    return given


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one column of a line, ``width`` columns wide; cut if it is wider."""

    text: str | Text
    width: int
    style: str = ""
    right: bool = False


def line(cells: Sequence[Cell]) -> Text:
    """The cells side by side, two blanks between them."""
    found = Text()
    for i, cell in enumerate(cells):
        text = Text(cell.text, cell.style) if isinstance(cell.text, str) else cell.text
        text = cut(text, cell.width)
        missing = " " * (cell.width - text.cell_len)
        found.append("  " if i else "").append(missing if cell.right else "")
        found.append_text(text).append("" if cell.right else missing)
    found.rstrip()
    return found


def cut(text: Text, width: int) -> Text:
    """The text, cut to the width."""
    if text.cell_len > width:
        text = text.copy()
        text.truncate(max(width, 0), overflow="crop")
    return text


def wrapped(words: Iterable[str], width: int, gap: str = " ") -> list[str]:
    """The words in lines of at most ``width``, broken between them where that can be."""
    lines = [""]
    for word in words:
        joined = lines[-1] + gap + word if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines[len(lines) - (not lines[-1]) :] = _chopped(word, width)
    return lines


def _chopped(word: str, width: int) -> list[str]:
    parts = [""]
    for sign in word:
        if parts[-1] and cell_len(parts[-1]) + cell_len(sign) > width:
            parts.append("")
        parts[-1] += sign
    return parts
