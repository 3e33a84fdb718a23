"""Lets only one process of an agent work at a time, even if the framework starts two.

The framework starts an agent again when its heartbeat is a minute old. On a busy host this can happen to a
running agent. The second process ends within seconds, but could make a check in that time.

The lock is flock(2) on a file of mode 0600, so that no other user can open and lock it. It ends with the
process that has it; the file says which process that is.

Guarantees: nothing here raises. If the file cannot be locked, every process makes checks, and the log says
so. If a process of another program has the lock, the log says so within half a minute.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from network_health.delivery import open_own

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # a system without flock
    fcntl = None

LOCK = "network-health-lock"
#: For so long the process that has the lock may not have written which one it is.
SETTLE_S = 10.0
#: Room for two numbers. Of one length, so that a full disk does not keep it from being overwritten.
_RECORD_BYTES = 64


class SingleInstance:
    """The lock, kept until this process ends.

    Args:
        folder: where the file is.
        log: takes a line and its ``level``.
        clock: seconds that never go back.
    """

    def __init__(
        self, folder: Path, log: Callable[..., None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._path = folder / LOCK
        self._log = log
        self._clock = clock
        self._handle: int | None = None
        self._logged: set[str] = set()
        self._strange_since_s: float | None = None

    def acquire(self) -> bool:
        """Take the lock; returns whether this process may make checks. If not, call it again later."""
        if self._handle is not None or fcntl is None:
            return True
        try:
            handle = open_own(self._path, os.O_RDWR | os.O_CREAT)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._log_holder(os.pread(handle, _RECORD_BYTES, 0))
                os.close(handle)
                return False
            except OSError:
                os.close(handle)
                raise
        except OSError as error:
            self._log_once(
                f"The lock {self._path} cannot be used ({error}): "
                "a second process of this agent would work at the same time",
                "WARNING",
            )
            return True
        self._handle = handle
        with contextlib.suppress(OSError):  # a full disk: the lock holds without it
            os.pwrite(handle, _record(os.getpid()), 0)
        return True

    def release(self) -> None:
        """Give the lock back."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _log_holder(self, record: bytes) -> None:
        """Log what kind of process has the lock."""
        pid = record.split()[:1]
        if pid and pid[0].isdigit() and record == _record(int(pid[0])):
            self._strange_since_s = None
            self._log_once(
                "Another process of this agent is running: this one waits until that one has ended.", "INFO"
            )
            return
        if self._strange_since_s is None:
            self._strange_since_s = self._clock()
        if self._clock() - self._strange_since_s >= SETTLE_S:
            self._log_once(
                f"Another program has locked {self._path}: this agent makes no checks until that process has "
                "ended. The command lslocks shows it",
                "WARNING",
            )

    def _log_once(self, message: str, level: str) -> None:
        if message not in self._logged:
            self._logged.add(message)
            self._log(message, level=level)


def _record(pid: int) -> bytes:
    """The process with this number, and no later one with the same number; from proc_pid_stat(5)."""
    started = b""
    with contextlib.suppress(OSError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        started = file.read(4096).rpartition(b")")[2].split()[19]
    return (b"%d %s" % (pid, started)).ljust(_RECORD_BYTES)
