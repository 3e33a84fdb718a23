"""Counts the calls of a window with BPF programs, where the kernel allows it.

Guarantees: an error does not end the window: it is noted in ``failure``, and the window has no calls.
"""

from __future__ import annotations

from dataclasses import replace

from network_health.attribution.traffic_window import TrafficWindows, Window
from network_health.sources.linux import CallCounter, Calls


class CallWindows:
    """Counts from now on, until `close`."""

    def __init__(self) -> None:
        self.failure = ""
        self._counter: CallCounter | None = None
        try:
            self._counter = CallCounter()
        except (OSError, ValueError) as error:
            self._fail(error)

    def take(self) -> Calls | None:
        """What was counted since the last call; ``None`` if nothing can be counted."""
        if self._counter is None:
            return None
        try:
            return self._counter.take()
        except OSError as error:
            self._fail(error)
            return None

    def close(self) -> None:
        """Detach the programs."""
        if self._counter is not None:
            self._counter.close()
        self._counter = None

    def _fail(self, error: Exception) -> None:
        self.close()
        self.failure = f"bpf: {type(error).__name__}: {error}"


class CountedWindows:
    """`TrafficWindows` whose windows have calls as well.

    Raises:
        OSError: the kernel denies access.
    """

    def __init__(self) -> None:
        self._windows = TrafficWindows()
        self._calls = CallWindows()

    def read(self, *, is_last: bool = False) -> Window:
        """As `TrafficWindows.read`.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        calls = self._calls.take()  # first: the bytes of the interfaces are read at once after it
        window = self._windows.read(is_last=is_last)
        return replace(window, calls=calls, calls_failure=self._calls.failure or _loss(calls))

    def close(self) -> None:
        """Stop counting."""
        self._calls.close()
        self._windows.close()


def _loss(calls: Calls | None) -> str:
    """What a report says about bytes that have no process because the map was full."""
    if calls is None or not calls.lost:
        return ""
    return f"bpf: {calls.lost:,} bytes on this host have no process: too many processes and peers"
