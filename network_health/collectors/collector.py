"""Runs one collector check after check: read, then compare with the reading of the check before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from network_health.sources import Answer, Isolated, Outcome, Readers, first_answer

R = TypeVar("R")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Collector(Generic[R, V]):
    """What is collected: its name, how to read it, and how to compare two readings.

    ``compare`` gets the reading before (``None`` at first, or where another reader made it), the new
    one, and the reader that made it.
    """

    name: str
    read: Callable[[Readers], R]
    compare: Callable[[R | None, R, Readers], V]


class CollectorRunner(Generic[R, V]):
    """Keeps the last reading of one collector. A run that fails or is late leaves it unchanged."""

    def __init__(self, collector: Collector[R, V], readers: Sequence[Readers], timeout_s: float) -> None:
        self._collector = collector
        self._readers = readers
        self._isolated = Isolated[tuple[R, V]](collector.name, timeout_s)
        self._last: Answer[R] | None = None

    @property
    def last(self) -> Answer[R] | None:
        """The last reading; ``None`` before the first one."""
        return self._last

    def run(self) -> Outcome[V]:
        """Read and compare once; never raises."""
        last, collector = self._last, self._collector

        def work(reader: Readers) -> tuple[R, V]:
            reading = collector.read(reader)
            before = last.value if last and last.reader == reader.name else None
            return reading, collector.compare(before, reading, reader)

        outcome = self._isolated.run(lambda: first_answer(self._readers, work))
        if outcome.value is None or outcome.reader is None:
            return Outcome(None, outcome.failure, outcome.ms)
        reading, seen = outcome.value
        self._last = Answer(reading, outcome.reader)
        return Outcome(seen, None, outcome.ms, outcome.reader)
