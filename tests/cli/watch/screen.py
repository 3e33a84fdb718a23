"""Runs a command on a terminal of its own and reads the screen."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

import pyte

from tests.cli.command import ENVIRONMENT, NETWORK_HEALTH

_TIMEOUT_S = 60


class LiveScreen:
    """A command on a terminal of its own; the end of a ``with`` block kills it."""

    def __init__(self, *command, columns=80, lines=24, **variables):
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.written = b""
        self.status = None
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            self._exec(command, columns, lines, ENVIRONMENT | variables)

    @staticmethod
    def _exec(command, columns, lines, environment):
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        os.execvpe(command[0], list(map(str, command)), environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with contextlib.suppress(ProcessLookupError):
            if self.status is None:
                os.kill(self.pid, signal.SIGKILL)
                os.waitpid(self.pid, 0)
        os.close(self.terminal)

    @property
    def modes(self):
        """The terminal's modes, which Linux shows at both of its ends."""
        return termios.tcgetattr(self.terminal)

    @property
    def text(self):
        """The current screen."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def press(self, keys):
        """Type these keys."""
        os.write(self.terminal, keys.encode())

    def resize(self, columns, lines):
        """Change the size of the terminal; the kernel sends SIGWINCH to its program."""
        self.screen.resize(lines, columns)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def send(self, number):
        """Send a signal to the program."""
        os.kill(self.pid, number)

    def read(self, seconds=0.0):
        """Read what the program writes within that time; with 0, until it writes nothing more."""
        until = time.monotonic() + seconds
        while select.select([self.terminal], [], [], max(until - time.monotonic(), 0.05))[0]:
            try:
                part = os.read(self.terminal, 65536)
            except OSError:
                return
            self.written += part
            self._stream.feed(part)
            if seconds and time.monotonic() > until:
                return

    def until(self, condition):
        """Wait until ``condition(text of the screen)`` holds; returns the text."""
        deadline = time.monotonic() + _TIMEOUT_S
        while not condition(self.text):
            assert time.monotonic() < deadline, f"timeout:\n{self.text}"
            self.read(0.1)
        return self.text

    def end(self):
        """Wait for the end of the program; returns its exit status, negative for a signal."""
        deadline = time.monotonic() + _TIMEOUT_S
        while True:
            self.read(0.1)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                self.read()
                return self.status
            assert time.monotonic() < deadline, f"the program does not end:\n{self.text}"


def watching(*words, prefix=(), **options):
    """Run ``network-health watch`` on a terminal of its own."""
    return LiveScreen(*prefix, NETWORK_HEALTH, "watch", *words, **options)
