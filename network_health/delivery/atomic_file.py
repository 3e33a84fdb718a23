"""Writes a file so that a reader finds all of it or nothing.

Laws: the mode is 0600; what was there before stays until the new content is complete; a failed write
leaves no part behind. A process killed at any instant cannot break this; a power cut can only where
``durable`` was not asked for.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: What a file is called while it is being written: its name and this.
TEMPORARY = ".tmp"


def write_whole(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Put ``data`` in the place of ``path``; with ``durable`` it is on the disk when this returns.

    Raises:
        OSError: it could not be written; ``path`` is as it was.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """The new name itself; some systems cannot open a folder, and there the file's own sync has to do."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
