"""Finds the histories that the agents of this host keep in their own folders, below ``/matrix``.

An agent's folder is ``/matrix/<universe>/<time of the boot>/comm/<universal_id>``; with MatrixOS,
``/matrix/universes/runtime/<universe>/<time of the boot>/comm/<universal_id>``. The history is in its
``queue`` folder, because the agent takes what is there with it to the next boot.

Guarantees: reads only the names of files. No link is followed. Nothing here raises.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from network_health.history import FILE_NAME
from network_health.swarm.matrix_root import MATRIX

_BOOT = re.compile(r"\d{8}_\d{6}")


@dataclass(frozen=True, slots=True)
class HistoryFile:
    """The history of one agent, in the latest boot of its universe that has one."""

    universe: str
    universal_id: str
    path: Path


def history_files(root: Path = MATRIX) -> list[HistoryFile]:
    """One file for each agent that has one, by universe and universal_id."""
    found: dict[tuple[str, str], HistoryFile] = {}
    for universe in _universes(root):
        for boot in filter(lambda folder: _BOOT.fullmatch(folder.name), _folders(universe)):
            for node in _folders(boot / "comm"):
                path = node / "queue" / FILE_NAME
                if _is_file(path):
                    found[universe.name, node.name] = HistoryFile(universe.name, node.name, path)
    return [found[key] for key in sorted(found)]


def _is_file(path: Path) -> bool:
    """Whether it is a regular file that this user can see."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def _universes(root: Path) -> Iterator[Path]:
    for folder in _folders(root):
        yield folder
        if folder.name == "universes":  # of MatrixOS
            for kind in filter(lambda path: path.name == "runtime", _folders(folder)):
                yield from _folders(kind)


def _folders(folder: Path) -> Iterator[Path]:
    """The folders in a folder, by name; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return
    yield from (folder / name for name in names)
