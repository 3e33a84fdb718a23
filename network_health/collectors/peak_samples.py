"""Reads the counters of the interfaces between two checks, in the background, for their peaks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from network_health.collectors.peaks import Peaks
from network_health.model import CounterReading, Interface, LinkReading
from network_health.sources import Answer, Background, Readers


class PeakSamples:
    """The samples since the last check. Only those of the reader that made the check's reading count.

    Args:
        readers: those of the check.
    """

    def __init__(self, readers: Sequence[Readers]) -> None:
        self._readers = readers
        self._samples = Background[Answer[CounterReading]]("interface-counters")
        self._peaks: Answer[Peaks] | None = None
        self._sample: Callable[[], Answer[CounterReading]] | None = None

    def start(self, last: Answer[LinkReading] | None) -> None:
        """Begin the peaks of the next check; ``last`` is the reading of this one."""
        self._peaks = Answer(Peaks(last.value), last.reader) if last else None
        read = next((each.counters for each in self._readers if last and each.name == last.reader), None)
        self._sample = partial(_answer, read, last.reader) if last and read else None

    def sample(self) -> None:
        """Begin one more reading, for which nobody waits; never raises."""
        self._take()
        if self._sample:
            self._samples.start(self._sample)

    def finish(
        self, last: Answer[LinkReading] | None, interfaces: tuple[Interface, ...]
    ) -> tuple[Interface, ...]:
        """The interfaces of the check that ``last`` was read for, with their peaks; then begins the next."""
        self._take()
        peaks = self._peaks
        if peaks and last and peaks.reader == last.reader:
            interfaces = peaks.value.finish(last.value, interfaces)
        self.start(last)
        return interfaces

    def close(self) -> None:
        """End the thread of the readings; the next sample starts another one."""
        self._samples.close()

    def _take(self) -> None:
        for sample in self._samples.take():
            if self._peaks and self._peaks.reader == sample.reader:
                self._peaks.value.add(sample.value)


def _answer(read: Callable[[], CounterReading], reader: str) -> Answer[CounterReading]:
    return Answer(read(), reader)
