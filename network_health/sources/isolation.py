"""Runs a collector in a thread of its own, with a timeout, so that its errors do not affect other collectors.
Runs frequent readings in one thread that stays, because the start of a thread costs more than such a reading.

Guarantees: an error or a timeout is a `Failure`, never an exception. While the last run has not ended, the
collector is not started again. A late answer is discarded. Where the system cannot start a thread, the
collector runs in the calling thread, without a timeout.
"""

from __future__ import annotations

import contextlib
import gc
import queue
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from network_health.model import Failure
from network_health.sources.readers import Answer

T = TypeVar("T")

#: How long to wait for the last reading of a thread; one that does not end then is left behind.
_MAX_JOIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """The result of one run: a value or a failure, the wall time, and the name of the reader."""

    value: T | None
    failure: Failure | None
    ms: float
    reader: str | None = None


class _Run(threading.Thread, Generic[T]):
    """One run of a collector."""

    def __init__(self, collector: str, work: Callable[[], Answer[T]]) -> None:
        super().__init__(name=f"collector-{collector}", daemon=True)
        self.started_s = time.monotonic()
        self.answer: Answer[T] | None = None
        self.failure: Failure | None = None
        self._collector = collector
        self._work = work

    def run(self) -> None:
        try:
            self.answer = self._work()
        except Exception as error:  # noqa: BLE001 - the only place where any error becomes a value
            self.failure = Failure(self._collector, f"{type(error).__name__}: {error}")


@contextlib.contextmanager
def _without_garbage_collection() -> Iterator[None]:
    # A reading creates thousands of objects and no cycles; the search for cycles took a third of the time.
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Isolated(Generic[T]):
    """Runs one collector, again and again, each time for ``timeout_s`` at most."""

    def __init__(self, collector: str, timeout_s: float) -> None:
        self.collector = collector
        self._timeout_s = timeout_s
        self._running: _Run[T] | None = None

    def run(self, work: Callable[[], Answer[T]]) -> Outcome[T]:
        """Run ``work``; never raises."""
        if self._running is not None and self._running.is_alive():
            waited_s = time.monotonic() - self._running.started_s
            reason = f"TimeoutError: still without an answer after {waited_s:.0f} s; not started again"
            return Outcome(None, Failure(self.collector, reason), 0.0)
        run = self._running = _Run(self.collector, work)
        with _without_garbage_collection():
            try:
                run.start()
            except RuntimeError:  # the system's limit of threads or of memory is reached
                run.run()
            else:
                run.join(self._timeout_s)
        ms = (time.monotonic() - run.started_s) * 1e3
        if run.is_alive():
            reason = f"TimeoutError: no answer within {self._timeout_s:g} s"
            return Outcome(None, Failure(self.collector, reason), ms)
        self._running = None
        if run.answer is None:
            return Outcome(None, run.failure, ms)
        return Outcome(run.answer.value, None, ms, run.answer.reader)


class Background(Generic[T]):
    """Makes one reading at a time in a thread of its own, for which nobody waits.

    A reading that raises `OSError` or `ValueError` has no result. While one does not end, none is started.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: _Readings[T] | None = None
        self._end: weakref.finalize[..., Background[T]] | None = None

    def start(self, read: Callable[[], T]) -> None:
        """Begin one more reading, unless the last one has not ended; never raises."""
        if self._thread is None:
            thread = _Readings[T](self._name)
            try:
                thread.start()
            except RuntimeError:  # the system's limit of threads or of memory is reached
                return
            self._thread = thread
            # The thread must not outlive its owner.
            self._end = weakref.finalize(self, thread.tasks.put, None)
        if not self._thread.is_reading:
            self._thread.is_reading = True
            self._thread.tasks.put(read)

    def take(self) -> Iterator[T]:
        """The results since the last call, the oldest first."""
        while self._thread and self._thread.results:
            yield self._thread.results.popleft()

    def close(self) -> None:
        """End the thread, after the reading that it is making; the next reading starts another one."""
        if self._thread and self._end:
            self._end()
            self._thread.join(_MAX_JOIN_S)
        self._thread = None


class _Readings(threading.Thread, Generic[T]):
    """The thread of a `Background`; it ends with the task ``None``."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self.tasks: queue.SimpleQueue[Callable[[], T] | None] = queue.SimpleQueue()
        self.results: deque[T] = deque()
        self.is_reading = False

    def run(self) -> None:
        while read := self.tasks.get():
            with contextlib.suppress(OSError, ValueError):
                self.results.append(read())
            self.is_reading = False
