"""Finds the container or systemd unit of a process or socket, from ``/proc/<pid>/cgroup``; see cgroups(7).

Guarantees: the names come from the path alone, in the formats of systemd, Docker, Podman, Kubernetes and LXC.
A path in another format gives no name.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

#: The names; ``None`` where there is no container or no unit.
ContainerAndUnit = tuple[str | None, str | None]

_HIERARCHIES = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_CONTAINER = re.compile(r"(?:^|[-/:])([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_LXC = re.compile(r"/(?:lxc(?:\.payload)?[./])([^/]+)")
_UNIT = re.compile(r"/([^/]+\.(?:service|scope|socket|mount))(?=/|$)")
_MAX_FOLDERS = 20_000


def read_container_and_unit(pid: int) -> ContainerAndUnit:
    """Container and unit of a process; both ``None`` if it has ended or the kernel denies access."""
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text(errors="surrogateescape")
    except OSError:
        return None, None
    return container_and_unit(parse_cgroup(text))


def read_cgroup_path(cgroup_id: int) -> str:
    """The path of the cgroup with this id (the inode of its folder); empty if it is not found."""
    for top in _HIERARCHIES:
        if not (top / "cgroup.controllers").exists():
            continue
        for seen, (folder, folders, _) in enumerate(os.walk(top)):
            if seen > _MAX_FOLDERS:
                break
            try:
                if Path(folder).stat().st_ino == cgroup_id:
                    return folder.removeprefix(str(top)) or "/"
            except OSError:
                folders.clear()  # the cgroup was removed meanwhile
    return ""


def parse_cgroup(text: str) -> str:
    """The most specific path: of the unified hierarchy, else of systemd's, else the longest one."""
    paths = {}
    for line in text.splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        paths[controllers] = path
    for controllers in ("", "name=systemd"):
        if paths.get(controllers, "/") != "/":
            return paths[controllers]
    return max(paths.values(), key=len, default="")


def container_and_unit(path: str) -> ContainerAndUnit:
    """The container (the first 12 digits of its id, or its name) and the systemd unit in a cgroup's path."""
    digits, named = _CONTAINER.search(path), _LXC.search(path)
    container = digits[1][:12] if digits else named[1] if named else None
    units = [unit for unit in _UNIT.findall(path) if not (digits and digits[1] in unit)]
    return container, units[-1] if units else None
