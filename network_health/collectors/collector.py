"""Runs one collector in every check: reads, then compares with the previous reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from network_health.sources import Answer, Isolated, Outcome, Readers, first_answer

R = TypeVar("R")
V = TypeVar("V")

#: In a shorter window the duration of the two reads would distort a rate.
MIN_WINDOW_S = 0.1


class Collector(Generic[R, V]):
    """One collector and its last reading. A run that fails or times out leaves that reading unchanged.

    Args:
        name: its name in reports.
        read: makes a reading; gets the readers and the previous reading. That one is ``None`` in the first
            run, and if other readers made it.
        compare: gets the previous reading, the new one, and the readers that made the new one.
        readers: in order of preference.
        timeout_s: how long a run may take.
    """

    def __init__(
        self,
        name: str,
        read: Callable[[Readers, R | None], R],
        compare: Callable[[R | None, R, Readers], V],
        readers: Sequence[Readers],
        timeout_s: float,
    ) -> None:
        self.name = name
        self.last: Answer[R] | None = None
        self._read, self._compare, self._readers = read, compare, readers
        self._isolated = Isolated[tuple[R, V]](name, timeout_s)

    def run(self) -> Outcome[V]:
        """Read and compare once; never raises."""
        last = self.last

        def work(reader: Readers) -> tuple[R, V]:
            before = last.value if last and last.reader == reader.name else None
            reading = self._read(reader, before)
            return reading, self._compare(before, reading, reader)

        outcome = self._isolated.run(lambda: first_answer(self._readers, work))
        if outcome.value is None or outcome.reader is None:
            return Outcome(None, outcome.failure, outcome.ms)
        reading, result = outcome.value
        self.last = Answer(reading, outcome.reader)
        return Outcome(result, None, outcome.ms, outcome.reader)
