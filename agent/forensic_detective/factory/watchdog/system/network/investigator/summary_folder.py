"""Clears the names under which the framework writes incident files from now on.

The framework writes to ``summary/<YYYYmmdd-HHMMSS>-<service>-failure.json``, a name that can be guessed. At a
FIFO the detective would wait for ever, and the target of a link would be overwritten.

Guarantees: only such names, of this second or later, are touched. What is not a regular file of this user
with a single name is removed; nothing is opened. Nothing here raises.
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable

_SUFFIX = "-failure.json"
_SHOWN = 3


def clear(folder: str, log: Callable[[str], object]) -> None:
    """Remove what another program has put into ``folder``; one log line names it."""
    first = time.strftime("%Y%m%d-%H%M%S")
    try:
        names = sorted(name for name in os.listdir(folder) if name.endswith(_SUFFIX) and name >= first)
    except OSError:  # then the framework cannot write there either, and logs it
        return
    removed = [name for name in names if _remove(os.path.join(folder, name))]
    if removed:
        more = f" and {len(removed) - _SHOWN} more" if len(removed) > _SHOWN else ""
        log(f"Removed from {folder}, where another program put it: {', '.join(removed[:_SHOWN])}{more}")


def _remove(path: str) -> bool:
    try:
        found = os.lstat(path)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1:
            return False
        os.unlink(path)
    except (
        OSError
    ):  # removed by now; a folder; or its owner may not be bypassed: the framework logs the error
        return False
    return True
