"""Checks whether an agent could write the file that a setting names.

Guarantees: nothing is written.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from network_health.swarm.doctor.finding import Finding, fault, ok


def check_file(subject: str, uid: str, setting: str, path: Path) -> Finding:
    """The finding about the file ``path``, which the ``setting`` of the node ``uid`` names."""
    try:
        return _file_in(subject, uid, setting, path, path.parent)
    except OSError as error:  # the name is too long, or this user may not enter a folder above
        do = f"give the swarm's user access, or set {setting} to a file in another folder"
        return fault(subject, f"{uid}: {path} cannot be checked: {error.strerror}", do)


def _file_in(subject: str, uid: str, setting: str, path: Path, folder: Path) -> Finding:
    if not folder.is_dir():
        do = f"install -d {shlex.quote(str(folder))}, writable for the swarm's user"
        return fault(subject, f"{uid}: the folder {folder} does not exist", do)
    if path.is_dir():
        return fault(subject, f"{uid}: {path} is a folder", f"set {setting} to a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        do = f"let the swarm's user write there, or set {setting} to a file in another folder"
        return fault(subject, f"{uid}: {folder} cannot be written by this user", do)
    return ok(subject, f"{uid}: {path} can be written")
