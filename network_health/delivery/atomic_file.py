"""Replaces a file as a whole: a reader finds the old content or the new one, never a part.

Guarantees: the file's mode is 0600. A failed write leaves no partial file. A process killed at any instant
cannot break this; a power cut can, unless ``durable`` is set.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

#: Added to the name of a file while it is written.
TEMPORARY_SUFFIX = ".tmp"


def write_atomically(path: Path, data: bytes, *, durable: bool = False) -> None:
    """Replace the content of ``path``; with ``durable`` it is on the disk when this returns.

    Raises:
        OSError: the file could not be written; ``path`` is unchanged.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
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
    """Flush the new file name to the disk, on systems that can open a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
