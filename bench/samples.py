"""Collects the samples of one program, and says how often it runs.

A program prints JSON lines: ``{"cpu_us", "wall_us", "count"}`` for each run (``count`` may be missing), and
``{"growth_kb"}`` at the end; Python programs add ``kept_kb``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Plan:
    """How often each program runs.

    In each round its process makes one warm-up run, then at least ``runs`` runs, and more until ``budget_ms``
    are used, but at most ``max_runs``.
    """

    rounds: int
    runs: int
    budget_ms: int
    max_runs: int

    def wants_more(self, run: int, used_ms: float) -> bool:
        """Whether run number ``run``, counted from 0, is to be made after ``used_ms``."""
        return run < self.runs or (run < self.max_runs and used_ms < self.budget_ms)


FULL = Plan(rounds=4, runs=2, budget_ms=60, max_runs=20)
QUICK = Plan(rounds=1, runs=3, budget_ms=0, max_runs=3)


@dataclass
class Cost:
    """All samples of one program at one load."""

    name: str
    role: str
    cpu_ms: list[float] = field(default_factory=list)
    wall_ms: list[float] = field(default_factory=list)
    growth_mb: list[float] = field(default_factory=list)
    kept_mb: list[float] = field(default_factory=list)
    counted: list[int] = field(default_factory=list)
    miscounts: int = 0
    note: str = ""
    failed: bool = False

    def add_lines(self, text: str) -> list[int]:
        """Add the output of a program; returns its counts."""
        counts = []
        for line in text.splitlines():
            sample = json.loads(line)
            if "growth_kb" in sample:
                self.growth_mb.append(sample["growth_kb"] / 1024)
                self.kept_mb += [sample["kept_kb"] / 1024] if "kept_kb" in sample else []
                self.note = sample.get("note", self.note)
                continue
            self.cpu_ms.append(sample["cpu_us"] / 1e3)
            self.wall_ms.append(sample["wall_us"] / 1e3)
            if "count" in sample:
                counts.append(sample["count"])
        return counts

    def as_row(self) -> dict[str, object]:
        """Medians and samples, JSON-safe."""
        return {
            "name": self.name,
            "role": self.role,
            "cpu_ms": median(self.cpu_ms) if self.cpu_ms else None,
            "wall_ms": median(self.wall_ms) if self.wall_ms else None,
            "growth_mb": median(self.growth_mb) if self.growth_mb else None,
            "kept_mb": median(self.kept_mb) if self.kept_mb else None,
            "count": int(median(self.counted)) if self.counted else None,
            "miscounts": self.miscounts,
            "note": self.note,
            "failed": self.failed,
            "samples_cpu_ms": self.cpu_ms,
        }
