"""Lets only one process of an agent work at a time, even if the framework starts two.

The framework starts an agent again when its heartbeat is a minute old, which on a busy host can be that of a
running agent. The second process ends within seconds, but could make a check in that time.

From flock(2), on the agent's queue folder itself: the lock ends with the process that has it.

Guarantees: nothing here raises. Where the folder cannot be locked, every process may work.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # a system without flock
    fcntl = None


class SingleInstance:
    """The lock on a folder, kept until this process ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def acquire(self) -> bool:
        """Whether this process may work: it has the lock, or gets it now."""
        if self._handle is not None or fcntl is None:
            return True
        try:
            handle = os.open(self._folder, os.O_RDONLY)
        except OSError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            return not isinstance(error, BlockingIOError)
        self._handle = handle
        return True
