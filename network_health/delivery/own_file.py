"""Reads and writes files of this user, in folders where other programs may create files, too.

Guarantees: a link is never followed. Only a regular file of this user with a single name is read or
overwritten; everything else raises `NotOwnFile`. No call waits for another process, for example at a FIFO.
At most ``limit`` bytes are read.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

#: A report of 10,000 interfaces has 5 MB.
MAX_BYTES = 16 << 20

#: Python itself adds ``O_CLOEXEC``.
SAFE_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
#: Opening a link; opening a FIFO without a reader, or a socket.
_NOT_A_FILE = (errno.ELOOP, errno.ENXIO)


class NotOwnFile(OSError):
    """The name belongs to something that this user did not write, or that is too large."""


def read_own(path: Path, limit: int = MAX_BYTES) -> bytes:
    """The content of a file.

    Raises:
        NotOwnFile: see the module.
        OSError: the file cannot be read.
    """
    handle = open_own(path, os.O_RDONLY, limit)
    with open(handle, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:  # it has grown since it was opened
        raise NotOwnFile(f"it is larger than {limit} bytes")
    return data


def overwrite_own(path: Path, data: bytes) -> None:
    """Write ``data`` over a file of the same length, or into a new one; needs no space on a full disk.

    Raises:
        NotOwnFile: see the module; nothing was written.
        OSError: the file cannot be written.
    """
    handle = open_own(path, os.O_WRONLY | os.O_CREAT, len(data))
    try:
        os.write(handle, data)
    finally:
        os.close(handle)


def open_own(path: Path, flags: int, limit: int = MAX_BYTES) -> int:
    """The descriptor of a file; with ``O_CREAT`` a new one has mode 0600.

    Raises:
        NotOwnFile: see the module.
        OSError: the file cannot be opened.
    """
    try:
        handle = os.open(path, flags | SAFE_FLAGS, 0o600)
    except OSError as error:
        if error.errno in _NOT_A_FILE:
            raise NotOwnFile("it is not a regular file") from error
        raise
    try:
        _require_own_file(handle, limit)
    except OSError:
        os.close(handle)
        raise
    return handle


def _require_own_file(handle: int, limit: int) -> None:
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode):
        raise NotOwnFile("it is not a regular file")
    if found.st_uid != os.geteuid():
        raise NotOwnFile(f"its owner is the user {found.st_uid}")
    if found.st_nlink > 1:
        raise NotOwnFile(f"it has {found.st_nlink} names (hard links)")
    if found.st_size > limit:
        raise NotOwnFile(f"it is larger than {limit} bytes")
