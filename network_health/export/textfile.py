"""A file for node_exporter's textfile collector: https://github.com/prometheus/node_exporter

Laws: a reader finds all of it or nothing; anybody may read it (0644: it holds figures, no reports). In a
folder that others write to, no file of theirs is followed or written into.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_MODE = 0o644
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


def write_textfile(path: Path, text: bytes) -> None:
    """Put ``text`` in the place of ``path``, whose name has to end in ``.prom`` to be read.

    Raises:
        OSError: it could not be written; ``path`` is as it was, and nothing else is left.
    """
    # Named by the process, so that two that write to one path never share it; and not ``.prom``.
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.unlink(missing_ok=True)
        with open(os.open(temporary, _NEW, _MODE), "wb") as file:
            os.fchmod(file.fileno(), _MODE)  # whatever the umask
            file.write(text)
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
