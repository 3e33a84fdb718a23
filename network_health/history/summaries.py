"""Computes the summary of a period from its checks: averages, highest values, 95th percentiles. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any

Row = tuple[Any, ...]


def summary(rows: Sequence[Row]) -> Row:
    """For each column its average, highest value and 95th percentile; ``None`` if it was never known."""
    return tuple(value for column in zip(*rows, strict=True) for value in _summary(column))


def by_name(rows: Iterable[Row]) -> Iterator[Row]:
    """The summary of each subject: its name, the number of rows, and `summary`; ``rows`` have the name first.

    They are in the order of the names.
    """
    for name, of_one in groupby(rows, itemgetter(0)):
        values = [row[1:] for row in of_one]
        yield name, len(values), *summary(values)


def _summary(column: Sequence[float | None]) -> tuple[float | None, float | None, float | None]:
    known = sorted(value for value in column if value is not None)
    if not known:
        return None, None, None
    if known[0] == known[-1]:
        return (known[0],) * 3
    return round(math.fsum(known) / len(known), 3), known[-1], known[math.ceil(0.95 * len(known)) - 1]
