"""Defines the results of a run: a `LoadResult` for each load, with a `Row` for each program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: The title of a load, by the prefix of its size, or else by its kind.
_TITLES = {
    "connections": "{} sockets",
    "processes": "{} processes",
    "interfaces": "{} interfaces",
    "mix": "{} ESTABLISHED + {} TIME_WAIT",
    "half-closed": "{} sockets, none ESTABLISHED or TIME_WAIT",
    "busy": "{} processes, all changed between two readings",
    "alerts": "{} sockets, 1,000 processes",
    "namespaces": "{} other network namespaces with {} sockets each",
    "calls": "{} calls that send or receive",
    "page": "{} days",
    "descriptors": "2,000 sockets, {} processes with 64 descriptors each",
}


@dataclass(frozen=True)
class Row:
    """One program at one load: medians, and what it counted."""

    name: str
    role: str
    cpu_ms: float | None
    wall_ms: float | None
    growth_mb: float | None
    kept_mb: float | None
    count: int | None
    miscounts: int
    note: str
    failed: bool
    samples: int


@dataclass(frozen=True)
class LoadResult:
    """All programs at one load; ``expected`` is what the kernel itself counted."""

    kind: str
    size: str
    expected: int
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> LoadResult:
        """Convert the result of `bench.sandbox.run`."""
        rows = []
        for row in result["rows"]:
            samples = len(row["samples_cpu_ms"])
            rows.append(Row(**{k: v for k, v in row.items() if k != "samples_cpu_ms"}, samples=samples))
        return cls(result["kind"], result["size"], result["expected"], tuple(rows))

    def row(self, role: str) -> Row | None:
        """The program in that role."""
        return next((row for row in self.rows if row.role == role), None)

    def cpu_ms(self, role: str) -> float | None:
        """The median CPU time of that program; ``None`` if it failed or its count was wrong."""
        row = self.row(role)
        return row.cpu_ms if row and not row.failed and not row.miscounts else None

    @property
    def title(self) -> str:
        """The heading of the load."""
        name, _, numbers = self.size.rpartition(":")
        return _TITLES[name or self.kind].format(*(f"{int(number):,}" for number in numbers.split("+")))

    @property
    def number(self) -> int | None:
        """The position of the load in the plot; ``None`` if it is not only a number."""
        return int(self.size) if self.size.isdigit() else None
