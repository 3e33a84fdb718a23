"""What came of a run: cells (one load, all contenders) and rows (one contender)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: A load in words, by what its size begins with or else by its kind.
_WORDS = {
    "connections": "{} sockets",
    "processes": "{} processes",
    "interfaces": "{} interfaces",
    "mix": "{} ESTABLISHED + {} TIME_WAIT",
    "half-closed": "{} sockets, none ESTABLISHED or TIME_WAIT",
    "busy": "{} processes, all changed between two readings",
}


@dataclass(frozen=True)
class Row:
    """One contender at one load: medians, and what it counted."""

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
class Cell:
    """One load. ``expected`` is what the kernel itself counted when it stood."""

    kind: str
    size: str
    expected: int
    rows: tuple[Row, ...]

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Cell:
        """From what `bench.box.run` returns."""
        rows = []
        for row in result["rows"]:
            samples = len(row["samples_cpu_ms"])
            rows.append(Row(**{k: v for k, v in row.items() if k != "samples_cpu_ms"}, samples=samples))
        return cls(result["kind"], result["size"], result["expected"], tuple(rows))

    def row(self, role: str) -> Row | None:
        """The contender in that role."""
        return next((row for row in self.rows if row.role == role), None)

    def cpu_ms(self, role: str) -> float | None:
        """Its median CPU; ``None`` as well if it failed or counted wrongly: no ratio is built on that."""
        row = self.row(role)
        return row.cpu_ms if row and not row.failed and not row.miscounts else None

    @property
    def title(self) -> str:
        """The load in words."""
        name, _, numbers = self.size.rpartition(":")
        words = _WORDS[name or self.kind]
        return words.format(*(f"{int(number):,}" for number in numbers.split("+")))

    @property
    def number(self) -> int | None:
        """The load as a point of the plot; ``None`` for the mixed ones."""
        return int(self.size) if self.size.isdigit() else None
