"""Writes a file for node_exporter's textfile collector: https://github.com/prometheus/node_exporter

Guarantees: a reader finds a complete file. Its mode is 0644: it holds metrics, no reports. No link that
another user has put into the folder is followed, and no file of theirs is written to.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from network_health.delivery import remove_temporary_files, write_atomically

#: A temporary file of this age was left by a killed process; a younger one may be another writer's.
_LEFTOVER_S = 60.0


def write_textfile(path: Path, text: bytes) -> None:
    """Replace the content of ``path``, whose name must end in ``.prom`` for node_exporter to read it.

    Raises:
        OSError: the file could not be written; ``path`` is unchanged and no other file is left.
    """
    write_atomically(path, text, mode=0o644)
    with contextlib.suppress(OSError):  # a folder that may be written to, but not listed
        remove_temporary_files(path.parent, _LEFTOVER_S)
