"""Continues what the agent left in the swarm's boot before: waiting reports, saved state, history.

The framework creates new folders at each boot of a swarm, ``/matrix/<universe>/<time>``, and leaves the old
ones.

Guarantees: nothing here raises. Files are moved only if this boot has no saved state yet, from the latest
earlier boot that has this agent, and if no process of that boot uses them. The saved state is moved last, so
a move that was interrupted is continued by the next start. No link is followed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from network_health.swarm.single_instance import LOCK, SingleInstance

STATE = "network-health-state.json"

_BOOT = re.compile(r"\d{8}_\d{6}")
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
#: More than can wait, with the files beside the reports.
_MOST_FILES = 1000


def continue_earlier_boot(comm: Path, queue: Path, log: Callable[..., None]) -> None:
    """Move the files of the earlier boot into ``queue``.

    Args:
        comm: the folder of all nodes in this boot, ``/matrix/<universe>/<time>/comm``.
        queue: this agent's folder of reports, somewhere below ``comm``.
        log: takes a line and its ``level``.
    """
    try:
        earlier = _earlier_queue(comm.resolve(), queue.resolve())
        if earlier is None or os.path.lexists(queue / STATE):
            return
        lock = SingleInstance(earlier, _log_nothing)
        if not lock.acquire():
            return
        try:
            moved = _move(earlier, queue)
        finally:
            lock.release()
    except OSError as error:
        log(f"The reports and the state of the boot before cannot be continued ({error})", level="WARNING")
        return
    if moved:
        log(f"Continued from the swarm's boot before: {moved} files of {earlier}", level="INFO")


def _log_nothing(_: str, *, level: str) -> None:
    """A lock of another boot concerns no operator."""


def _earlier_queue(comm: Path, queue: Path) -> Path | None:
    """The same folder in the latest earlier boot that has it."""
    boot = comm.parent
    if not _BOOT.fullmatch(boot.name):
        return None
    names = sorted((name for name in os.listdir(boot.parent) if _BOOT.fullmatch(name)), reverse=True)
    for name in names:
        earlier = boot.parent / name / queue.relative_to(boot)
        if name < boot.name and _is_own_folder(earlier):
            return earlier
    return None


def _is_own_folder(path: Path) -> bool:
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and path.resolve() == path


def _move(earlier: Path, queue: Path) -> int:
    """Move the files, the saved state last; returns how many were moved."""
    queue.mkdir(mode=0o700, exist_ok=True)
    names = [name for name in sorted(os.listdir(earlier)) if name.startswith("network-health-")]
    names = [name for name in names if name not in (LOCK, STATE)][-_MOST_FILES:] + [STATE] * (STATE in names)
    source = os.open(earlier, _FOLDER_FLAGS)
    try:
        for name in names:
            os.rename(name, queue / name, src_dir_fd=source)
    finally:
        os.close(source)
    return len(names)
