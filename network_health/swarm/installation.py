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
import time
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from network_health.swarm.confined_folder import ConfinedFolder
from network_health.swarm.errors import SwarmError
from network_health.swarm.framework import Framework
from network_health.swarm.manifest import MANIFEST, STATE, Manifest, load_manifest
from network_health.swarm.payload import payload_files
from network_health.swarm.workspace import Workspace

_CHANGED_NAME = "changed"
_CHANGED = f"{STATE}/{_CHANGED_NAME}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done, as paths relative to the workspace.

    ``originals`` were moved away or restored; ``kept`` is where files that a user changed are now; ``left``
    is what an uninstallation could not remove.
    """

    written: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    originals: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    left: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.written or self.removed or self.originals or self.kept)


def install(workspace: Workspace) -> Outcome:
    """Install the payload into ``workspace``; files that are up to date are not written again.

    Raises:
        SwarmError: no permission, no space, or a damaged manifest.
    """
    payload = payload_files(workspace.framework)
    try:
        with ConfinedFolder(workspace.path, STATE) as files:
            return _Installation(files, workspace.framework).install(payload)
    except OSError as error:
        raise _swarm_error(workspace, error) from error


def uninstall(workspace: Workspace) -> Outcome:
    """Remove from ``workspace`` what `install` put into it, and restore what was there before.

    Raises:
        SwarmError: no permission, or a damaged manifest.
    """
    try:
        with ConfinedFolder(workspace.path, STATE) as files:
            return _Installation(files, workspace.framework).uninstall()
    except OSError as error:
        raise _swarm_error(workspace, error) from error


def _swarm_error(workspace: Workspace, error: OSError) -> SwarmError:
    if isinstance(error, PermissionError):
        owner = workspace.path.stat().st_uid
        return SwarmError(
            f"{error.filename} in {workspace.path} cannot be written: run this as root or as user {owner}"
        )
    return SwarmError(f"{workspace.path} cannot be changed: {error}")


class _Installation:
    def __init__(self, files: ConfinedFolder, framework: Framework) -> None:
        self._files = files
        self._agent_folder, self._shadow = framework.agent_folder, framework.shadow
        self._manifest = load_manifest(files)
        self._changed = _unused(files, f"{_CHANGED}/{time.strftime('%Y%m%d-%H%M%S')}")
        self._kept: list[str] = []
        files.remove_temporaries()

    def install(self, payload: dict[str, bytes]) -> Outcome:
        removed = self._remove_files(set(self._manifest.files) - set(payload))
        originals = self._manifest.originals
        self._restore([name for name in originals if name != self._agent_folder and name not in payload])
        new = self._foreign(payload)
        files = {name: _hash(content) for name, content in payload.items()}
        self._save(
            Manifest(
                files=files,
                originals=[name for name in originals if name == self._agent_folder or name in payload] + new,
                folders=self._manifest.folders + self._missing_folders(payload, new),
                earlier=self._manifest.earlier if files == self._manifest.files else self._manifest.files,
            )
        )
        moved = [name for name in self._manifest.originals if self._move_away(name, is_new=name in new)]
        if self._files.exists(self._shadow):
            self._keep_changed(self._shadow)
        written = [name for name in payload if self._install_file(name, payload[name])]
        self._save(replace(self._manifest, earlier={}))
        return Outcome(tuple(written), removed, tuple(moved), tuple(self._kept))

    def uninstall(self) -> Outcome:
        manifest = self._manifest
        removed = self._remove_files(set(manifest.files))
        for folder in sorted(manifest.folders, reverse=True):
            self._files.remove_if_empty(folder)
        back = self._restore(manifest.originals)
        left = [
            name for name in manifest.folders if name not in manifest.originals and self._files.exists(name)
        ]
        self._remove_state(manifest)
        left += [f"{STATE}/{each}" for each in self._files.names(STATE) if each != _CHANGED_NAME]
        return Outcome((), removed, tuple(back), tuple(self._kept), tuple(left))

    def _remove_state(self, manifest: Manifest) -> None:
        """Remove the manifest, and the folders that an interrupted run has created for files to be moved."""
        if self._files.exists(MANIFEST):
            self._files.remove(MANIFEST)
        for run in self._files.names(_CHANGED):
            for name in {self._shadow, *manifest.files, *manifest.originals}:
                self._remove_empty_above(f"{_CHANGED}/{run}/{name}")
        self._files.remove_if_empty(STATE)

    def _remove_empty_above(self, name: str) -> None:
        """Remove the folders above ``name`` that are empty, except for the workspace."""
        for folder in PurePosixPath(name).parents[:-1]:
            self._files.remove_if_empty(str(folder))

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
            place = self._place(name)
            known = self._manifest.originals + list(self._manifest.files) + self._manifest.folders + names
            if place not in known and self._files.exists(place):
                names.append(place)
        return names

    def _missing_folders(self, payload: dict[str, bytes], new: list[str]) -> list[str]:
        parents = {str(parent) for name in payload for parent in PurePosixPath(name).parents[:-1]}
        return sorted(
            parent
            for parent in parents - set(self._manifest.folders)
            if parent in new or not self._files.exists(parent)
        )

    def _move_away(self, name: str, *, is_new: bool) -> bool:
        if self._files.exists(_backup(name)) or not self._files.exists(name):
            return False
        if not is_new and self._is_installed(name):  # the backup was deleted: this is not the original
            return False
        self._files.move(name, _backup(name))
        return True

    def _is_installed(self, place: str) -> bool:
        """Whether at least one file at ``place`` or below it is an installed one."""
        return any(
            self._manifest.is_installed(name, self._hash_of(name))
            for name in self._manifest.files
            if PurePosixPath(name).is_relative_to(place)
        )

    def _install_file(self, name: str, content: bytes) -> bool:
        if self._files.exists(name):
            now = self._hash_of(name)
            if now == _hash(content):
                return False
            if not self._manifest.is_installed(name, now):
                self._keep_changed(name)
        self._files.write(name, content)
        return True

    def _remove(self, name: str) -> bool:
        if not self._files.exists(name):
            return False
        if self._manifest.is_installed(name, self._hash_of(name)):
            self._files.remove(name)
            return True
        if self._place(name) not in self._manifest.originals or self._files.exists(
            _backup(self._place(name))
        ):
            self._keep_changed(name)
        return False  # without a backup it is the original itself: not moved yet, or already restored

    def _restore(self, names: list[str]) -> list[str]:
        back = [name for name in names if self._files.exists(_backup(name))]
        for name in back:
            if self._files.exists(name):  # a user has added or changed something
                self._keep_changed(name)
            self._files.move(_backup(name), name)
        for name in names:  # also after a run that was interrupted here
            self._remove_empty_above(_backup(name))
        return back

    def _place(self, name: str) -> str:
        """What is moved away before this file is installed: the file in its place, or the agent's folder.

        The whole folder, because the ``__init__.py`` of the framework's agent would hide the library.
        """
        return self._agent_folder if name.startswith(self._agent_folder + "/") else name

    def _keep_changed(self, name: str) -> None:
        self._files.move(name, f"{self._changed}/{name}")
        self._kept.append(f"{self._changed}/{name}")

    def _hash_of(self, name: str) -> str | None:
        """The hash of a regular file; ``None`` for anything else, also for a symbolic link."""
        content = self._files.read(name)
        return None if content is None else _hash(content)

    def _save(self, manifest: Manifest) -> None:
        """Called before the files are changed, so that the next run can complete an interrupted one."""
        if manifest != self._manifest:
            self._files.write(MANIFEST, manifest.to_json())
        self._manifest = manifest


def _backup(name: str) -> str:
    return f"{STATE}/original/{name}"


def _unused(folder: ConfinedFolder, name: str) -> str:
    candidates = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(each for each in candidates if not folder.exists(each))


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
