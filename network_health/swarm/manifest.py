"""Reads the manifest of an installation: what was installed into a workspace, and what was there before.

Guarantees: every name in a manifest is a path below the workspace.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import PurePosixPath

from network_health.swarm.confined_folder import ConfinedFolder
from network_health.swarm.errors import SwarmError

STATE = ".network_health"
MANIFEST = f"{STATE}/manifest.json"
#: Bytes; the longest path that Linux takes.
_MAX_NAME = 4096


@dataclass(frozen=True, slots=True)
class Manifest:
    """The installed ``files`` (SHA-256 by path), the replaced ``originals``, and the created ``folders``.

    ``earlier`` has the files of an earlier version while they are replaced.
    """

    files: dict[str, str] = field(default_factory=dict)
    originals: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    earlier: dict[str, str] = field(default_factory=dict)

    def is_installed(self, name: str, hash_: str | None) -> bool:
        """Whether a file with this hash was installed there."""
        return hash_ is not None and hash_ in (self.files.get(name), self.earlier.get(name))

    def to_json(self) -> bytes:
        """The content of its file."""
        content = {name: value for name, value in asdict(self).items() if value or name != "earlier"}
        return json.dumps(content, indent=2).encode() + b"\n"


def load_manifest(folder: ConfinedFolder) -> Manifest:
    """The manifest of a workspace; an empty one if nothing is installed.

    Raises:
        SwarmError: it is damaged, or names something outside of the workspace.
    """
    if not folder.exists(MANIFEST):
        return Manifest()
    try:
        content = json.loads(folder.read(MANIFEST) or b"")
    except (ValueError, RecursionError) as error:
        raise _damaged(folder) from error
    if not isinstance(content, dict) or not content.keys() <= {each.name for each in fields(Manifest)}:
        raise _damaged(folder)
    manifest = replace(Manifest(), **content)
    groups = (
        (manifest.files, dict),
        (manifest.earlier, dict),
        (manifest.originals, list),
        (manifest.folders, list),
    )
    for group, kind in groups:
        # Files that it names are deleted and moved, so none may be outside of the workspace.
        if not isinstance(group, kind) or not all(map(_is_inside, group)):
            raise _damaged(folder)
    return manifest


def _damaged(folder: ConfinedFolder) -> SwarmError:
    return SwarmError(f"{folder.path / MANIFEST} is damaged; move it away and install again")


def _is_inside(name: object) -> bool:
    try:
        is_name = isinstance(name, str) and 0 < len(os.fsencode(name)) <= _MAX_NAME and "\0" not in name
    except UnicodeEncodeError:  # no file can have such a name
        return False
    path = PurePosixPath(str(name))
    return is_name and path.parts != () and not path.is_absolute() and ".." not in path.parts
