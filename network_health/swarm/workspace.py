"""Finds a workspace as the framework does, and checks that it is one.

From ``find_swarm_pointer`` and ``matrixswarm_dirs_valid`` of MatrixSwarm's ``site_boot.py``. The workspace of
MatrixOS is its own folder.

Guarantees: reads only. For any path, pointer and map, the result is a workspace or a `SwarmError`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from network_health.swarm.encrypted_directive import directive_files
from network_health.swarm.errors import SwarmError
from network_health.swarm.framework import MATRIXOS, Framework, framework_at
from network_health.swarm.matrix_root import MATRIX
from network_health.swarm.untrusted_file import read_regular_file

_POINTER = ".swarm"
_GLOBAL_POINTER = ".matrixswarm_pointer"
_MAP = ".matrix"
_MATRIXOS_PARTS = ("agents/python_core", "boot_directives", "scripts/matrixd")
_PARTS = ("agent", "boot_directives", "certs/https_certs", "certs/socket_certs")
#: Raised for an invalid path: too long, a loop of links, with a NUL, or in the home of an unknown user.
_PATH_ERRORS = (OSError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder that the framework boots from; ``path`` is absolute, without symbolic links."""

    path: Path

    @property
    def framework(self) -> Framework:
        """The framework that boots from it."""
        return framework_at(self.path)

    @classmethod
    def at(cls, folder: Path) -> Workspace:
        """The workspace in ``folder``.

        Raises:
            SwarmError: it is not a workspace; the message says what is missing.
        """
        path = _resolved(folder)
        try:
            if not path.is_dir():
                raise SwarmError(f"{path} is not a folder")
            framework = framework_at(path)
            parts = _MATRIXOS_PARTS if framework is MATRIXOS else (_MAP, *_PARTS)
            missing = [part for part in parts if not (path / part).exists()]
        except PermissionError as error:
            raise SwarmError(
                f"{path} cannot be read by this user: run this as root or as its owner"
            ) from error
        except _PATH_ERRORS as error:
            raise SwarmError(f"{path} cannot be a workspace: {error}") from error
        if missing:
            raise SwarmError(f"{path} is not a {framework.name} workspace: it has no {', '.join(missing)}")
        if framework is MATRIXOS:
            return cls(path)
        home = _install_path(path / _MAP)
        if _resolved(home) != path:
            raise SwarmError(
                f"{path} was moved: its {_MAP} names {home}, so a swarm would take its agents from there"
            )
        return cls(path)

    @classmethod
    def default(cls) -> Workspace:
        """The workspace that a boot from the current folder would use; else that of MatrixOS, ``/matrix``.

        Raises:
            SwarmError: no pointer names a folder, or the folder is not a workspace.
        """
        try:
            here = Path.cwd()
        except OSError as error:
            raise SwarmError(f"the current folder cannot be read: {error.strerror}") from error
        found = _pointer(here)
        if found is None:
            return cls._without_pointer()
        try:
            return cls.at(_target(found))
        except SwarmError as error:
            raise SwarmError(f"{error}; the pointer {found} names it") from error

    @classmethod
    def _without_pointer(cls) -> Workspace:
        no_pointer = f"no {_POINTER} file here or above and no ~/{_GLOBAL_POINTER} names a workspace"
        try:
            is_there = framework_at(MATRIX) is MATRIXOS
        except PermissionError as error:  # as it should be, for any user but the swarm's
            raise SwarmError(
                f"{no_pointer}, and {MATRIX} cannot be read by this user; name a workspace, or run this as "
                "root or as the swarm's user"
            ) from error
        if is_there:
            return cls.at(MATRIX)
        raise SwarmError(f"{no_pointer}; name one, or make one with `matrixswarm-boot --init`")

    def directive_names(self) -> list[str]:
        """The directives in it, as the doctor takes them: ``mine`` for mine.py, ``mine.json`` for itself."""
        folder = self.path / "boot_directives"
        plain = [path.stem for path in directive_files(folder, ".py") if not path.name.startswith("_")]
        return [*plain, *(path.name for path in directive_files(folder, ".json"))]


def pointed_at(start: Path) -> Path | None:
    """The folder named by the nearest pointer file: in ``start`` or above, else in the home folder.

    Raises:
        SwarmError: the pointer cannot be read, or names no folder.
    """
    pointer = _pointer(start)
    return None if pointer is None else _resolved(_target(pointer))


def _pointer(start: Path) -> Path | None:
    """The nearest pointer file that this user may read."""
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
    except RuntimeError:  # this user has no home
        return


def _target(pointer: Path) -> Path:
    name = read_regular_file(pointer).decode("utf-8", "surrogateescape").strip()
    if not name:
        raise SwarmError(f"the pointer {pointer} is empty")
    return Path(name)


def _resolved(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except _PATH_ERRORS as error:
        raise SwarmError(f"{str(path)!r} is not a path: {error}") from error


def _install_path(path: Path) -> Path:
    try:
        content = json.loads(read_regular_file(path))
    except (ValueError, RecursionError) as error:
        raise SwarmError(f"{path}, which the framework needs for a boot, is not JSON") from error
    home = content.get("install_path") if isinstance(content, dict) else None
    if not isinstance(home, str):
        raise SwarmError(f"{path}, which the framework needs for a boot, has no install_path")
    return Path(home)
