"""A MatrixSwarm workspace: finding it as the framework does, and knowing one when it is seen.

From ``find_swarm_pointer`` and ``matrixswarm_dirs_valid`` of the framework's ``site_boot.py``.

Laws: reads only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from network_health.swarm.errors import SwarmError

__all__ = ["Workspace", "pointed_at"]

_POINTER = ".swarm"
_GLOBAL_POINTER = ".matrixswarm_pointer"
_MAP = ".matrix"
_PARTS = ("agent", "boot_directives", "certs/https_certs", "certs/socket_certs")


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder that the framework boots from; ``path`` is absolute and free of symbolic links."""

    path: Path

    @classmethod
    def at(cls, folder: Path) -> Workspace:
        """The workspace in ``folder``.

        Raises:
            SwarmError: there is none; the sentence says what is missing.
        """
        path = folder.expanduser().resolve()
        try:
            if not path.is_dir():
                raise SwarmError(f"{path} is no folder; make a workspace with `matrixswarm-boot --init`")
            missing = [part for part in (_MAP, *_PARTS) if not (path / part).exists()]
        except PermissionError as error:
            raise SwarmError(
                f"{path} cannot be read by this user: run this as root or as its owner"
            ) from error
        if missing:
            raise SwarmError(f"{path} is not a MatrixSwarm workspace: it has no {', '.join(missing)}")
        home = _install_path(path / _MAP)
        if home.resolve() != path:
            raise SwarmError(
                f"{path} was moved: its {_MAP} says {home}, so a swarm would take its agents there"
            )
        return cls(path)

    @classmethod
    def default(cls) -> Workspace:
        """The workspace that a boot from the current folder would use.

        Raises:
            SwarmError: no pointer names one, or what it names is none.
        """
        path = pointed_at(Path.cwd())
        if path is None:
            raise SwarmError(
                f"no {_POINTER} file here or above and no ~/{_GLOBAL_POINTER} names a workspace; "
                "name it, or make one with `matrixswarm-boot --init`"
            )
        return cls.at(path)


def pointed_at(start: Path) -> Path | None:
    """The folder that the nearest pointer file names: from ``start`` upwards, then in the home folder.

    Raises:
        SwarmError: the pointer cannot be read.
    """
    start = start.resolve()
    candidates = [folder / _POINTER for folder in (start, *start.parents)] + [Path.home() / _GLOBAL_POINTER]
    for pointer in candidates:
        if pointer.exists():
            try:
                return Path(pointer.read_text().strip()).expanduser().resolve()
            except (OSError, UnicodeError) as error:
                raise SwarmError(f"the pointer {pointer} cannot be read: {error}") from error
    return None


def _install_path(path: Path) -> Path:
    try:
        return Path(json.loads(path.read_text(encoding="utf-8"))["install_path"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SwarmError(f"{path} is damaged, which the framework needs for a boot: {error!r}") from error
