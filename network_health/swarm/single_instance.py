"""One process of an agent works at a time, although the framework may run two.

It starts an agent again when its heartbeat is a minute old, or was not there in time: on a busy host that
is one that lives. The later of the two ends within seconds, but could have made a check by then.

From flock(2), on the agent's queue folder itself: the lock ends with the process that holds it, however
that ends.

Laws: nothing here raises. Where a folder cannot be locked every process is taken to be the only one.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # a system without such locks
    fcntl = None


class SingleInstance:
    """The right to work on a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle: int | None = None

    def holds(self) -> bool:
        """Whether this process has the right; it gets it, if nobody else has it, and keeps it to its end."""
        if self._handle is not None or fcntl is None:
            return True
        try:
            handle = os.open(self._folder, os.O_RDONLY)
        except OSError:
            return True
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        except OSError:
            os.close(handle)
            return True
        self._handle = handle
        return True
