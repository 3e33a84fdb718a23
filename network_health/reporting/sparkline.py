"""Draws values against a limit as one line of characters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: From 0 to the limit.
BLOCK_LEVELS = "▁▂▃▄▅▆▇█"
ASCII_LEVELS = "_.-:=+*#"


@dataclass(frozen=True, slots=True)
class SparkCell:
    """One cell of a sparkline; ``over`` means that its value is above the limit."""

    char: str
    over: bool = False


def sparkline(values: Sequence[float | None], limit: float, levels: str = BLOCK_LEVELS) -> list[SparkCell]:
    """A cell for each value: blank if unknown, the lowest level for 0, the highest at ``limit`` and above."""
    highest = len(levels) - 1
    cells = []
    for value in values:
        if value is None:
            cells.append(SparkCell(" "))
        elif value > limit:
            cells.append(SparkCell(levels[-1], over=True))
        elif value <= 0:
            cells.append(SparkCell(levels[0]))
        else:
            cells.append(SparkCell(levels[1 + min(int(value / limit * highest), highest - 1)]))
    return cells
