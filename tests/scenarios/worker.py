"""Worker processes that run commands of a test, each with its own sockets and network namespace."""

import contextlib
import ctypes
import multiprocessing
import os
import signal
import traceback

from tests.scenarios.commands import TIMEOUT_S, Commands

PR_SET_NAME = 15


class Worker:
    """A process with a name; ``run`` runs one of `Commands` in it and returns the result."""

    def __init__(self, name):
        self.name = name
        self._pipe, theirs = multiprocessing.Pipe()
        self._started = self.pid = os.fork()
        if self.pid == 0:
            try:
                set_name(name)
                _serve(theirs)
            finally:
                os._exit(0)
        theirs.close()

    def run(self, command, *args):
        """Run a command and wait for its result."""
        self.start(command, *args)
        return self.result()

    def start(self, command, *args):
        """Start a command; `result` waits for it."""
        self._pipe.send((command, args))

    def result(self):
        """Wait for the result of the last started command."""
        assert self._pipe.poll(TIMEOUT_S), f"{self.name} does not answer"
        answer, error = self._pipe.recv()
        assert error is None, f"{self.name}: {error}"
        return answer

    def hand_over(self, name, *, parent_stays=False):
        """From now on a forked child with this name runs the commands; the parent sleeps, or ends."""
        self.pid, self.name = self.run("hand_over", name, parent_stays), name
        if not parent_stays:
            os.waitpid(self._started, 0)
            self._started = None

    def end(self):
        """Kill the process, and the one that it was forked from."""
        for pid in {self.pid, self._started} - {None}:
            os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._started or self.pid, 0)
        self._pipe.close()


def set_name(name):
    """Name the calling process."""
    ctypes.CDLL(None).prctl(PR_SET_NAME, name.encode())


def _serve(pipe):
    commands = Commands()
    while True:
        command, args = pipe.recv()
        if command == "hand_over":
            _hand_over(pipe, *args)
            continue
        try:
            pipe.send((getattr(commands, command)(*args), None))
        except Exception:  # noqa: BLE001 - the parent raises it
            pipe.send((None, traceback.format_exc()))


def _hand_over(pipe, name, parent_stays):
    if os.fork():
        if parent_stays:
            signal.pause()
        os._exit(0)
    set_name(name)
    pipe.send((os.getpid(), None))
