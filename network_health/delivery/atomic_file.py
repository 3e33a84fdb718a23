"""Replaces a file as a whole: a reader finds the old content or the new one, never a part.

Guarantees: whatever has the file's name is replaced, never written to. If it is a link, its target is not
changed. The name of the temporary file cannot be guessed. A failed write leaves no partial file. All this is
also true if the process is killed at any time, and with ``durable`` also after a power cut.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import time
from pathlib import Path

from network_health.delivery.own_file import SAFE_FLAGS

_TEMPORARY_NAME = re.compile(r"network-health-[0-9a-f]{16}\.tmp")


def write_atomically(path: Path, data: bytes, *, mode: int = 0o600, durable: bool = False) -> None:
    """Replace the content of ``path``; with ``durable`` it is on the disk when this returns.

    The file has the ``mode`` with any umask.

    Raises:
        OSError: the file could not be written; ``path`` is unchanged.
    """
    temporary = path.with_name(f"network-health-{secrets.token_hex(8)}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE_FLAGS
    try:
        with open(os.open(temporary, flags, 0o600), "wb") as file:
            os.fchmod(file.fileno(), mode)  # the umask may have removed bits
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


def remove_temporary_files(folder: Path, older_than_s: float = 0.0) -> None:
    """Remove what killed processes of this user have left in ``folder``.

    Raises:
        OSError: the folder cannot be listed.
    """
    written_before = time.time() - older_than_s
    for name in filter(_TEMPORARY_NAME.fullmatch, os.listdir(folder)):
        with contextlib.suppress(OSError):  # removed by now, or of another user
            found = os.lstat(folder / name)
            if stat.S_ISREG(found.st_mode) and found.st_mtime <= written_before:
                (folder / name).unlink()


def _sync_folder(folder: Path) -> None:
    """Flush the new file name to the disk, on systems that can open a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | SAFE_FLAGS)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
