"""A MatrixSwarm workspace: finding it as the framework does, and knowing one when it is seen.

From ``find_swarm_pointer`` and ``matrixswarm_dirs_valid`` of the framework's ``site_boot.py``.

Laws: reads only; whatever stands where a workspace, a pointer or a map should be, the answer is a
workspace or a `SwarmError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from network_health.swarm.errors import SwarmError
from network_health.swarm.untrusted_file import read_bytes

_POINTER = ".swarm"
_GLOBAL_POINTER = ".matrixswarm_pointer"
_MAP = ".matrix"
_PARTS = ("agent", "boot_directives", "certs/https_certs", "certs/socket_certs")
#: What paths raise that cannot be: too long, in a circle, with a NUL, of nobody's home.
_IMPOSSIBLE = (OSError, RuntimeError, ValueError)


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
        path = _resolved(folder)
        try:
            if not path.is_dir():
                raise SwarmError(f"{path} is no folder")
            missing = [part for part in (_MAP, *_PARTS) if not (path / part).exists()]
        except PermissionError as error:
            raise SwarmError(
                f"{path} cannot be read by this user: run this as root or as its owner"
            ) from error
        except _IMPOSSIBLE as error:
            raise SwarmError(f"{path} cannot be a workspace: {error}") from error
        if missing:
            raise SwarmError(f"{path} is not a MatrixSwarm workspace: it has no {', '.join(missing)}")
        home = _install_path(path / _MAP)
        if _resolved(home) != path:
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
        try:
            here = Path.cwd()
        except OSError as error:
            raise SwarmError(f"the current folder cannot be looked at: {error.strerror}") from error
        found = _pointer(here)
        if found is None:
            raise SwarmError(
                f"no {_POINTER} file here or above and no ~/{_GLOBAL_POINTER} names a workspace; "
                "name it, or make one with `matrixswarm-boot --init`"
            )
        try:
            return cls.at(_target(found))
        except SwarmError as error:
            raise SwarmError(f"{error}; the pointer {found} names it") from error


def pointed_at(start: Path) -> Path | None:
    """The folder that the nearest pointer file names: from ``start`` upwards, then in the home folder.

    Raises:
        SwarmError: the pointer cannot be read, or names no folder.
    """
    pointer = _pointer(start)
    return None if pointer is None else _resolved(_target(pointer))


def _pointer(start: Path) -> Path | None:
    """The nearest pointer file; what this user may not look at is passed over."""
    for candidate in _candidates(_resolved(start)):
        try:
            if candidate.exists():
                return candidate
        except OSError:
            continue
    return None


def _candidates(start: Path) -> Iterator[Path]:
    for folder in (start, *start.parents):
        yield folder / _POINTER
    try:
        yield Path.home() / _GLOBAL_POINTER
    except RuntimeError:  # a user without a home
        return


def _target(pointer: Path) -> Path:
    name = read_bytes(pointer).decode("utf-8", "surrogateescape").strip()
    if not name:
        raise SwarmError(f"the pointer {pointer} is empty")
    return Path(name)


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except _IMPOSSIBLE as error:
        raise SwarmError(f"{str(path)!r} names no folder: {error}") from error


def _install_path(path: Path) -> Path:
    try:
        content = json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise SwarmError(f"{path}, which the framework needs for a boot, is not JSON") from error
    home = content.get("install_path") if isinstance(content, dict) else None
    if not isinstance(home, str):
        raise SwarmError(f"{path}, which the framework needs for a boot, has no install_path")
    return Path(home)
