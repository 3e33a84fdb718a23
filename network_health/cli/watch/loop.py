"""Runs the live view: waits for keys, reports and signals, and draws after each.

Guarantees: between events it sleeps; while a check is late it wakes every second to show that. However it
ends, the terminal is restored.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

from network_health.cli.watch.checks import FIRST_CHECK_S, CheckThread
from network_health.cli.watch.screen import Screen
from network_health.cli.watch.state import QUIT, REDRAW, State, parse_keys
from network_health.cli.watch.terminal import Terminal
from network_health.settings import Settings

#: A check without a result for so long is late.
_LATE_S = 3.0
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_HANDLED = _ENDING | {signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH}


def watch(settings: Settings, seconds: float, terminal: Terminal, screen: Screen) -> int:
    """Show this host until the user quits; returns 0, or the number of the signal that ended it.

    Raises:
        OSError: the terminal is gone, or the system cannot start a thread.
    """
    with _signal_pipe() as pipe:
        checks = CheckThread(settings, seconds, pipe.wake)
        try:
            _start(checks)
            return _Loop(pipe, checks, terminal, screen, seconds).run()
        finally:
            terminal.leave()


def _start(checks: CheckThread) -> None:
    try:
        checks.start()
    except RuntimeError as error:
        raise OSError(
            errno.EAGAIN, f"the system cannot start a thread, which the view needs: {error}"
        ) from error


class _Pipe:
    """Wakes the loop by a byte: the number of a signal, or 0 for a result of a check."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        os.set_blocking(self.write_end, False)

    def wake(self) -> None:
        """Wake the loop; may be called by any thread."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes it as well
            os.write(self.write_end, b"\0")

    def read(self) -> set[int]:
        """The bytes that were written since."""
        try:
            return set(os.read(self.read_end, 4096))
        except BlockingIOError:
            return set()


@contextlib.contextmanager
def _signal_pipe() -> Iterator[_Pipe]:
    """A pipe into which Python writes the numbers of signals; see `signal.set_wakeup_fd`."""
    pipe = _Pipe()
    old_fd = signal.set_wakeup_fd(pipe.write_end, warn_on_full_buffer=False)
    old = {number: signal.signal(number, _ignore) for number in _HANDLED}
    try:
        yield pipe
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_fd)


def _ignore(number: int, frame: object) -> None:
    """Do nothing: the loop reads the number from the pipe."""


class _Loop:
    def __init__(
        self, pipe: _Pipe, checks: CheckThread, terminal: Terminal, screen: Screen, seconds: float
    ) -> None:
        self._pipe = pipe
        self._checks = checks
        self._terminal = terminal
        self._screen = screen
        self._state = State.initial(seconds)
        self._expected_s = time.monotonic() + min(FIRST_CHECK_S, seconds)
        self._unfinished_key = ""

    def run(self) -> int:
        status = self._enter()
        while status is None:
            size = self._terminal.size
            self._terminal.draw(self._screen.lines(self._state, *size), size)
            has_key = self._wait()
            status = self._handle_signals(self._pipe.read())
            self._take_results()
            if has_key and status is None:
                status = self._take_keys()
        return status

    def _handle_signals(self, numbers: set[int]) -> int | None:
        """Act on signals; returns the view's result if one of them ends it."""
        ending = numbers & _ENDING
        if ending:
            return min(ending - {signal.SIGINT}, default=0)
        if signal.SIGTSTP in numbers:  # give the terminal to the shell, and stop until SIGCONT
            self._terminal.leave()
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, _ignore)
            return self._handle_signals((self._pipe.read() | {signal.SIGCONT}) - {signal.SIGTSTP})
        return self._enter() if signal.SIGCONT in numbers else None

    def _enter(self) -> int | None:
        """Take the terminal over; in the background this stops until the shell allows it."""
        while True:
            try:
                self._terminal.enter()
            except InterruptedError:
                status = self._handle_signals(self._pipe.read() & _ENDING)
                if status is not None:
                    return status
            else:
                return None

    def _wait(self) -> bool:
        """Sleep until something happens; returns whether a key was typed."""
        terminal = self._terminal
        keys = [] if terminal.keys is None else [terminal.keys]
        late_s = time.monotonic() - self._expected_s
        timeout_s = 1.0 if late_s >= _LATE_S else _LATE_S - late_s
        stalled = [terminal.out] if terminal.is_stalled else []
        readable, _, _ = select.select([self._pipe.read_end, *keys], stalled, [], timeout_s)
        return terminal.keys in readable

    def _take_results(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                result = self._checks.results.get_nowait()
                if isinstance(result, BaseException):
                    raise result
                self._state = self._state.after_check(result)
                self._expected_s = result.next_s
        late_s = time.monotonic() - self._expected_s
        self._state = replace(self._state, late_s=late_s if late_s >= _LATE_S else None)

    def _take_keys(self) -> int | None:
        """Act on what was typed; returns 0 if that is to quit."""
        typed = self._terminal.typed()
        keys, self._unfinished_key = parse_keys(self._unfinished_key + typed)
        for key in keys:
            if key == QUIT:
                return 0
            if key == REDRAW:
                self._terminal.invalidate()
            self._state = self._state.after_key(key)
        return None if typed else 0
