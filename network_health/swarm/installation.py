"""Installs this project's agents and directives into a workspace, and removes them again.

The folder ``.network_health/`` of the workspace records what was done. ``manifest.json`` lists the installed
files, ``original/`` has the files that were there before, and ``changed/`` the installed files that a user
changed.

Guarantees: files that were there before are moved, never deleted; `uninstall` restores them unchanged. An
installed file that a user changed is moved to ``changed/`` and stays there. The next run completes a run that
was interrupted.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import time
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path, PurePosixPath

from network_health.swarm.errors import SwarmError
from network_health.swarm.payload import AGENT_FOLDER, SHADOW, payload_files
from network_health.swarm.untrusted_file import read_bytes
from network_health.swarm.workspace import Workspace

_STATE = ".network_health"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, as paths relative to the workspace.

    ``originals`` were moved away or restored; ``kept`` is where files that a user changed are now.
    """

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    originals: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.written or self.removed or self.originals or self.kept)


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The installed ``files`` (SHA-256 by path), the replaced ``originals``, and the created ``folders``."""

    files: dict[str, str] = field(default_factory=dict)
    originals: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def install(workspace: Workspace) -> Outcome:
    """Install the payload into ``workspace``; files that are up to date are not written again.

    Raises:
        SwarmError: no permission, no space, or a damaged manifest.
    """
    try:
        return _Installation(workspace.path).install(payload_files())
    except OSError as error:
        raise _swarm_error(workspace, error) from error


def uninstall(workspace: Workspace) -> Outcome:
    """Remove from ``workspace`` what `install` put into it, and restore what was there before.

    Raises:
        SwarmError: no permission, or a damaged manifest.
    """
    try:
        return _Installation(workspace.path).uninstall()
    except OSError as error:
        raise _swarm_error(workspace, error) from error


def _swarm_error(workspace: Workspace, error: OSError) -> SwarmError:
    if isinstance(error, PermissionError):
        owner = workspace.path.stat().st_uid
        return SwarmError(f"{error.filename} cannot be written: run this as root or as user {owner}")
    return SwarmError(f"{workspace.path} cannot be changed: {error}")


class _Installation:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._state = root / _STATE
        self._manifest_path = self._state / "manifest.json"
        self._manifest = _load(self._manifest_path)
        self._changed = _unused(self._state / "changed" / time.strftime("%Y%m%d-%H%M%S"))
        self._kept: list[str] = []

    def install(self, payload: dict[str, bytes]) -> Outcome:
        removed = self._remove_files(set(self._manifest.files) - set(payload))
        known, originals = self._manifest.files, self._manifest.originals
        self._restore([name for name in originals if name != AGENT_FOLDER and name not in payload])
        new = self._foreign(payload)
        self._save(
            _Manifest(
                files={name: _hash(content) for name, content in payload.items()},
                originals=[name for name in originals if name == AGENT_FOLDER or name in payload] + new,
                folders=self._manifest.folders + self._missing_folders(payload, new),
            )
        )
        moved = [name for name in self._manifest.originals if self._move_away(name, is_new=name in new)]
        if os.path.lexists(self._root / SHADOW):
            self._keep_changed(SHADOW)
        written = [name for name in payload if self._install_file(name, payload[name], known.get(name))]
        return Outcome(tuple(written), removed, tuple(moved), tuple(self._kept))

    def uninstall(self) -> Outcome:
        removed = self._remove_files(set(self._manifest.files))
        for folder in sorted(self._manifest.folders, reverse=True):
            _remove_if_empty(self._root / folder)
        back = self._restore(self._manifest.originals)
        self._manifest_path.unlink(missing_ok=True)
        originals = self._backup("")
        for path in (*sorted(originals.rglob("*"), reverse=True), originals, self._state):
            _remove_if_empty(path)
        return Outcome((), removed, tuple(back), tuple(self._kept))

    def _remove_files(self, names: set[str]) -> tuple[str, ...]:
        """Remove these installed files, and take them out of the manifest."""
        if not names:
            return ()
        removed = tuple(name for name in sorted(names) if self._remove(name))
        left = {name: known for name, known in self._manifest.files.items() if name not in names}
        self._save(replace(self._manifest, files=left))
        return removed

    def _foreign(self, payload: dict[str, bytes]) -> list[str]:
        """Paths where a file of the user is in the place of a new one; the agent's folder counts as one."""
        names: list[str] = []
        for name in payload:
            place = _place(name)
            known = self._manifest.originals + list(self._manifest.files) + self._manifest.folders + names
            if place not in known and os.path.lexists(self._root / place):
                names.append(place)
        return names

    def _missing_folders(self, payload: dict[str, bytes], new: list[str]) -> list[str]:
        parents = {str(parent) for name in payload for parent in PurePosixPath(name).parents}
        return sorted(
            parent
            for parent in parents - set(self._manifest.folders)
            if parent in new or not (self._root / parent).exists()
        )

    def _move_away(self, name: str, *, is_new: bool) -> bool:
        source, backup = self._root / name, self._backup(name)
        if os.path.lexists(backup) or not os.path.lexists(source):
            return False
        if not is_new and self._is_installed(source):  # the backup was deleted: this is not the original
            return False
        self._move(source, backup)
        return True

    def _is_installed(self, path: Path) -> bool:
        files = path.rglob("*") if path.is_dir() else [path]
        return any(_hash_of(file) == self._manifest.files.get(self._name(file), "") for file in files)

    def _install_file(self, name: str, content: bytes, known: str | None) -> bool:
        path = self._root / name
        if os.path.lexists(path):
            now = _hash_of(path)
            if now == _hash(content):
                return False
            if now is None or now != known:
                self._keep_changed(name)
        self._create_folders(path.parent)
        self._write(path, content)
        return True

    def _remove(self, name: str) -> bool:
        path = self._root / name
        if not os.path.lexists(path):
            return False
        if _hash_of(path) == self._manifest.files[name]:
            path.unlink()
            return True
        if _place(name) not in self._manifest.originals or os.path.lexists(self._backup(_place(name))):
            self._keep_changed(name)
        return False  # without a backup it is the original itself: not moved yet, or already restored

    def _restore(self, names: list[str]) -> list[str]:
        back = [name for name in names if os.path.lexists(self._backup(name))]
        for name in back:
            if os.path.lexists(self._root / name):  # a user has added or changed something
                self._keep_changed(name)
            self._move(self._backup(name), self._root / name)
        return back

    def _keep_changed(self, name: str) -> None:
        self._move(self._root / name, self._changed / name)
        self._kept.append(self._name(self._changed / name))

    def _move(self, source: Path, target: Path) -> None:
        self._create_folders(target.parent)
        shutil.move(source, target)

    def _create_folders(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._create_folders(folder.parent)
        folder.mkdir()
        folder.chmod(0o755)  # whatever the umask is: the swarm may run as another user
        self._give_to_owner(folder)

    def _give_to_owner(self, path: Path) -> None:
        """Give what root creates to the owner of the workspace."""
        if os.geteuid() == 0:
            owner = self._root.stat()
            os.chown(path, owner.st_uid, owner.st_gid)

    def _backup(self, name: str) -> Path:
        return self._state / "original" / name

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _save(self, manifest: _Manifest) -> None:
        """Called before the files are changed, so that the next run can complete an interrupted one."""
        if manifest != self._manifest:
            self._create_folders(self._state)
            self._write(self._manifest_path, json.dumps(asdict(manifest), indent=2).encode() + b"\n")
        self._manifest = manifest

    def _write(self, path: Path, content: bytes) -> None:
        unfinished = path.with_name(f".{path.name}.unfinished")
        try:
            unfinished.write_bytes(content)
            unfinished.chmod(0o644)
            self._give_to_owner(unfinished)
            unfinished.replace(path)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise


def _load(path: Path) -> _Manifest:
    try:
        content = json.loads(read_bytes(path)) if os.path.lexists(path) else {}
    except (ValueError, RecursionError) as error:
        raise _damaged(path) from error
    if not isinstance(content, dict) or not content.keys() <= {each.name for each in fields(_Manifest)}:
        raise _damaged(path)
    files, *lists = content.get("files", {}), content.get("originals", []), content.get("folders", [])
    if not isinstance(files, dict) or not all(isinstance(each, list) for each in lists):
        raise _damaged(path)
    # Files that it names are deleted and moved, so none may be outside of the workspace.
    if not all(map(_is_inside, (*files, *lists[0], *lists[1]))):
        raise _damaged(path)
    return _Manifest(files, *lists)


def _damaged(path: Path) -> SwarmError:
    return SwarmError(f"{path} is damaged; move it away and install again")


def _is_inside(name: object) -> bool:
    path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath("/")
    return not path.is_absolute() and ".." not in path.parts and "\0" not in str(path)


def _place(name: str) -> str:
    """What is moved away before this file is installed: the file in its place, or the agent's whole folder.

    The whole folder, because the ``__init__.py`` of the framework's agent would hide the library.
    """
    return AGENT_FOLDER if name.startswith(AGENT_FOLDER + "/") else name


def _unused(path: Path) -> Path:
    candidates = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], candidates) if not each.exists())


def _remove_if_empty(folder: Path) -> None:
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _hash_of(path: Path) -> str | None:
    """The hash of a regular file; ``None`` for anything else, also for a symbolic link."""
    return _hash(path.read_bytes()) if path.is_file() and not path.is_symlink() else None
