"""What came of a run: cells (one load, all contenders) and rows (one contender)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """One contender at one load: medians, and what it counted."""

    name: str
    role: str
    cpu_ms: float | None
    wall_ms: float | None
    growth_mb: float | None
    count: int | None
    miscounts: int
    note: str
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
        """Its median CPU; ``None`` as well if it counted wrongly: no ratio is built on that."""
        row = self.row(role)
        return row.cpu_ms if row and not row.miscounts else None

    def growth_mb(self, role: str) -> float | None:
        """Its median peak memory growth."""
        row = self.row(role)
        return row.growth_mb if row else None

    @property
    def title(self) -> str:
        """The load in words."""
        if self.size.startswith("mix:"):
            established, time_wait = map(int, self.size.removeprefix("mix:").split("+"))
            return f"{established:,} ESTABLISHED + {time_wait:,} TIME_WAIT"
        if self.size.startswith("half-closed:"):
            count = int(self.size.removeprefix("half-closed:"))
            return f"{count:,} sockets, none ESTABLISHED or TIME_WAIT"
        noun = {"connections": "sockets"}.get(self.kind, self.kind)
        return f"{int(self.size):,} {noun}"

    @property
    def number(self) -> int | None:
        """The load as a point of the plot; ``None`` for the mixed ones."""
        return int(self.size) if self.size.isdigit() else None
