"""Says where a history is, and whether its file may be opened.

Guarantees: a link, a FIFO, or a file of another user is never opened for writing, nor is any file in a folder
where other users can create one.
"""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path
from types import ModuleType

from network_health.history.kept import HistoryError
from network_health.history.schema import APPLICATION_ID
from network_health.settings import Settings

fcntl: ModuleType | None
try:
    import fcntl
except ImportError:  # a system without flock
    fcntl = None

FILE_NAME = "network-health-history.sqlite"
#: Where SQLite keeps the id of the program that a file belongs to; see the file format of SQLite.
_ID = slice(68, 72)


def history_path(settings: Settings, folder: Path) -> Path | None:
    """The file of an agent whose own folder is ``folder``; ``None`` if its history is off."""
    if isinstance(settings.history, str):
        return Path(settings.history)
    return folder / FILE_NAME if settings.history else None


def is_own(path: Path) -> bool:
    """Whether the file was made as a history, by its name or by its content, also if it is damaged.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        return path.name == FILE_NAME or file.read(_ID.stop)[_ID] == APPLICATION_ID.to_bytes(4, "big")


def parts(path: Path) -> tuple[Path, Path, Path]:
    """The file and the two that SQLite keeps beside it."""
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def require_writable(path: Path) -> None:
    """Create the file with mode 0600 if it is missing; check that it and its folder are safe to write.

    Raises:
        HistoryError: they are not.
        OSError: the folder is missing, or the file cannot be created.
    """
    folder = os.stat(path.parent)
    shared = folder.st_mode & stat.S_IWOTH or (
        folder.st_mode & stat.S_IWGRP and folder.st_gid != os.getegid()
    )
    if shared or folder.st_uid not in (0, os.geteuid()):
        raise HistoryError(f"{path.parent} is a folder that other users can write: give a folder of your own")
    for part in parts(path):
        _require_own(part)
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    os.close(os.open(path, flags, 0o600))


def lock(path: Path) -> io.FileIO:
    """Take the lock of the one writer; it is held until the result is closed.

    SQLite has other locks, which it takes for each transaction. They would let two agents write one file by
    turns, and each would end the other's alerts.

    Raises:
        HistoryError: another process, or another `Store`, has it.
        OSError: the file cannot be opened.
    """
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    handle = io.FileIO(os.open(path, flags))
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        raise HistoryError(f"{path} is written by another agent: give each agent a file of its own") from None
    except OSError:  # a file system without flock
        return handle
    return handle


def _require_own(path: Path) -> None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISREG(found.st_mode):
        raise HistoryError(f"{path} is not a regular file")
    if found.st_uid != os.geteuid() or found.st_nlink > 1:
        raise HistoryError(f"{path} is a file of another user, or has several names")


def identity(path: Path) -> tuple[int, int] | None:
    """The device and inode of the file; ``None`` if it is missing."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
