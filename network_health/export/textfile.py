"""Writes a file for node_exporter's textfile collector: https://github.com/prometheus/node_exporter

Guarantees: a reader finds a complete file. Its mode is 0644: it holds metrics, no reports. No link that
another user has put into the folder is followed, and no file of theirs is written to.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_MODE = 0o644
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def write_textfile(path: Path, text: bytes) -> None:
    """Replace the content of ``path``, whose name must end in ``.prom`` for node_exporter to read it.

    Raises:
        OSError: the file could not be written; ``path`` is unchanged and no other file is left.
    """
    # The process id keeps two writers of one path apart; node_exporter does not read a name without .prom.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        with open(os.open(temporary, _NEW, _MODE), "wb") as file:
            os.fchmod(file.fileno(), _MODE)  # the umask may have removed bits
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
