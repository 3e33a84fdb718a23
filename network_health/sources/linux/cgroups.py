"""The container or systemd unit of a process or a socket, from ``/proc/<pid>/cgroup``; see cgroups(7).

Law: the name comes from the path alone, as systemd, Docker, Podman, Kubernetes and LXC lay theirs out;
a path of another make has neither.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

#: Container and unit; each is ``None`` where there is none.
Place = tuple[str | None, str | None]

_HIERARCHIES = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_CONTAINER = re.compile(r"(?:^|[-/:])([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_LXC = re.compile(r"/(?:lxc(?:\.payload)?[./])([^/]+)")
_UNIT = re.compile(r"/([^/]+\.(?:service|scope|socket|mount))(?=/|$)")
_MOST_FOLDERS = 20_000


def read_place(pid: int) -> Place:
    """Where a process runs; nothing where it has ended or the kernel does not tell."""
    try:
        return place_of(parse_cgroup(Path(f"/proc/{pid}/cgroup").read_text(errors="surrogateescape")))
    except OSError:
        return None, None


def read_cgroup_path(cgroup_id: int) -> str:
    """The path of a cgroup by its id, which is the inode of its folder; empty where it is not found."""
    for top in _HIERARCHIES:
        if not (top / "cgroup.controllers").exists():
            continue
        for seen, (folder, folders, _) in enumerate(os.walk(top)):
            if seen > _MOST_FOLDERS:
                break
            try:
                if Path(folder).stat().st_ino == cgroup_id:
                    return folder.removeprefix(str(top)) or "/"
            except OSError:
                folders.clear()  # it has gone
    return ""


def parse_cgroup(text: str) -> str:
    """The path that says the most: of the unified hierarchy, or of systemd's own, or the longest."""
    paths = {}
    for line in text.splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        paths[controllers] = path
    for controllers in ("", "name=systemd"):
        if paths.get(controllers, "/") != "/":
            return paths[controllers]
    return max(paths.values(), key=len, default="")


def place_of(path: str) -> Place:
    """Container (its first 12 digits, or name) and systemd unit that a cgroup's path tells of."""
    digits, named = _CONTAINER.search(path), _LXC.search(path)
    container = digits[1][:12] if digits else named[1] if named else None
    units = [unit for unit in _UNIT.findall(path) if not (digits and digits[1] in unit)]
    return container, units[-1] if units else None
