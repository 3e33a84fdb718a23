"""What a program in `bench.worker` does in one run, and what it counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Counted:
    """What one run counted, and a note for the table; ``cpu_ms`` replaces the CPU time of the process."""

    count: int
    note: str = ""
    cpu_ms: float | None = None


def _nothing() -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Work:
    """``run`` is measured; ``prepare`` is called before each run, and is not measured."""

    run: Callable[[], Counted]
    prepare: Callable[[], object] = _nothing
