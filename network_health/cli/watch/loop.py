"""The live view at work: waits for keys, reports and signals, and draws.

Laws: it sleeps until one of them comes; while a check is late, it wakes every second to say so. However
it ends, the terminal is given back.
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import signal
import time
from collections.abc import Iterator
from dataclasses import replace

from network_health.cli.watch.checks import FIRST_S, Checks
from network_health.cli.watch.screen import Screen
from network_health.cli.watch.state import QUIT, REDRAW, State, keys_in
from network_health.cli.watch.terminal import Terminal
from network_health.settings import Settings

#: A check that has had no answer for so long is late.
_LATE_S = 3.0
_ENDING = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT})
_HEARD = _ENDING | {signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH}


def watch(settings: Settings, seconds: float, terminal: Terminal, screen: Screen) -> int:
    """Show this host until someone quits; 0 then, else the number of the signal that ended it.

    Raises:
        OSError: the terminal is gone.
    """
    with _bell() as bell:
        checks = Checks(settings, seconds, bell.ring)
        try:
            checks.start()
            return _Loop(bell, checks, terminal, screen, seconds).run()
        finally:
            terminal.leave()


class _Bell:
    """Wakes the loop: by the number of a signal, or by 0 when there is a report."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        os.set_blocking(self.write_end, False)

    def ring(self) -> None:
        """Wake the loop; may be called by any thread."""
        with contextlib.suppress(BlockingIOError):  # it is full of reasons to wake
            os.write(self.write_end, b"\0")

    def reasons(self) -> set[int]:
        """Why it was rung."""
        try:
            return set(os.read(self.read_end, 4096))
        except BlockingIOError:
            return set()


@contextlib.contextmanager
def _bell() -> Iterator[_Bell]:
    bell = _Bell()
    old_fd = signal.set_wakeup_fd(bell.write_end, warn_on_full_buffer=False)
    old = {number: signal.signal(number, _noted) for number in _HEARD}
    try:
        yield bell
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(old_fd)


def _noted(number: int, frame: object) -> None:
    """Nothing to do: the number itself is in the bell."""


class _Loop:
    def __init__(
        self, bell: _Bell, checks: Checks, terminal: Terminal, screen: Screen, seconds: float
    ) -> None:
        self._bell = bell
        self._checks = checks
        self._terminal = terminal
        self._screen = screen
        self._state = State.of(seconds)
        self._expected_s = time.monotonic() + min(FIRST_S, seconds)
        self._half_typed = ""

    def run(self) -> int:
        ended = self._enter()
        while ended is None:
            size = self._terminal.size
            self._terminal.draw(self._screen.lines(self._state, *size), size)
            keyed = self._wait()
            ended = self._heed(self._bell.reasons())
            self._take_reports()
            if keyed and ended is None:
                ended = self._take_keys()
        return ended

    def _heed(self, reasons: set[int]) -> int | None:
        """Do what signals want; what the view ends with, if one of them ends it."""
        ending = reasons & _ENDING
        if ending:
            return min(ending - {signal.SIGINT}, default=0)
        if signal.SIGTSTP in reasons:  # leave the terminal to the shell, until that says to go on
            self._terminal.leave()
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
            signal.raise_signal(signal.SIGTSTP)
            signal.signal(signal.SIGTSTP, _noted)
            return self._heed((self._bell.reasons() | {signal.SIGCONT}) - {signal.SIGTSTP})
        return self._enter() if signal.SIGCONT in reasons else None

    def _enter(self) -> int | None:
        """Take the terminal, as soon as the shell lets a command in the background do so."""
        while True:
            try:
                self._terminal.enter()
            except InterruptedError:
                ended = self._heed(self._bell.reasons() & _ENDING)
                if ended is not None:
                    return ended
            else:
                return None

    def _wait(self) -> bool:
        """Sleep until there is something to do; whether that is a key."""
        terminal = self._terminal
        keys = [] if terminal.keys is None else [terminal.keys]
        late_s = time.monotonic() - self._expected_s
        timeout_s = 1.0 if late_s >= _LATE_S else _LATE_S - late_s
        stalled = [terminal.out] if terminal.is_stalled else []
        readable, _, _ = select.select([self._bell.read_end, *keys], stalled, [], timeout_s)
        return terminal.keys in readable

    def _take_reports(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                sight = self._checks.sights.get_nowait()
                if isinstance(sight, BaseException):
                    raise sight
                self._state = self._state.after(sight)
                self._expected_s = sight.next_s
        late_s = time.monotonic() - self._expected_s
        self._state = replace(self._state, late_s=late_s if late_s >= _LATE_S else None)

    def _take_keys(self) -> int | None:
        """Do what was typed; 0 if that is to quit."""
        typed = self._terminal.typed()
        keys, self._half_typed = keys_in(self._half_typed + typed)
        for key in keys:
            if key == QUIT:
                return 0
            if key == REDRAW:
                self._terminal.forget()
            self._state = self._state.pressed(key)
        return None if typed else 0
