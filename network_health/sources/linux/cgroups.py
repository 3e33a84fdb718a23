"""Finds the container or systemd unit of a process or socket, from ``/proc/<pid>/cgroup``; see cgroups(7).

Guarantees: the names come from the path alone, in the formats of systemd, systemd-nspawn, Docker, Podman,
containerd, CRI-O, Kubernetes, LXC and ECS. A path in another format gives no name. At most `_CGROUP_BYTES`
are read, because a user can nest cgroups without a limit: the names at the end of a longer path are not
found. The time to find names grows only linearly with the path.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from network_health.model import bounded_name
from network_health.sources.linux.bounded import read_start

#: The names; ``None`` where there is no container or no unit.
ContainerAndUnit = tuple[str | None, str | None]

_HIERARCHIES = (Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/unified"))
_CONTAINER = re.compile(r"(?:^|[-/:])([0-9a-f]{64})(?:\.scope)?(?:/|$)")
_LXC = re.compile(r"/lxc(?:/|\.(?:payload|monitor)[./])([^/]+)")
#: On Fargate: the id of the task, and a number.
_ECS = re.compile(r"/ecs/(?:[^/]+/){1,2}([0-9a-f]{32}-[0-9]{6,12})(?:/|$)")
_NSPAWN = re.compile(r"/machine\.slice/(?:machine-([^/]+)\.scope|systemd-nspawn@([^/]+)\.service)(?:/|$)")
#: The names that libvirt gives to its machines; nothing else distinguishes them from those of systemd-nspawn.
_LIBVIRT = re.compile(r"(?:qemu|lxc|xen|ch|bhyve)-\d+-")
_ESCAPED = re.compile(r"\\x([0-7][0-9a-f])")
_UID = "[0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32}"  # the latter of a static pod
_PODS = "kubepods"
_POD = re.compile(rf"[/-]pod({_UID})(?:\.slice)?(?:[/:]|$)")
#: Below this folder a user makes cgroups with any name.
_OF_USER = re.compile(r"^/user\.slice/user-(\d+)\.slice/user@\1\.service/")
_UNIT = re.compile(r"/([^/]+\.(?:service|scope|socket|mount))(?=/|$)")
_MAX_FOLDERS = 20_000
#: Room for the longest path of each of the kernel's hierarchies.
_CGROUP_BYTES = 65536


def read_container_and_unit(pid: int) -> ContainerAndUnit:
    """Container and unit of a process; both ``None`` if it has ended or the kernel denies access."""
    return container_and_unit(read_cgroup(pid))


def read_cgroup(pid: int) -> str:
    """The path of a process's cgroup; empty if it has ended or the kernel denies access."""
    try:
        return parse_cgroup(os.fsdecode(read_start(f"/proc/{pid}/cgroup", _CGROUP_BYTES)))
    except OSError:
        return ""


def read_cgroup_path(cgroup_id: int) -> str:
    """The path of the cgroup with this id (the inode of its folder); empty if it is not found.

    At most 20,000 cgroups are searched, those nearest to the root first.
    """
    for top in _HIERARCHIES:
        if (top / "cgroup.controllers").exists():
            for inode, path in _folders(top):
                if inode == cgroup_id:
                    return path.removeprefix(str(top)) or "/"
    return ""


def parse_cgroup(text: str) -> str:
    """The most specific path: of the unified hierarchy, else of systemd's, else the longest one."""
    paths = {}
    for line in text.rstrip("\n").split("\n"):  # a name may have any other character that ends a line
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        paths[controllers] = path
    for controllers in ("", "name=systemd"):
        if paths.get(controllers, "/") != "/":
            return paths[controllers]
    return max(paths.values(), key=len, default="")


def container_and_unit(path: str) -> ContainerAndUnit:
    """The container (the first 12 digits of its id, or its name) and the systemd unit in a cgroup's path."""
    digits = _CONTAINER.search(path)
    container = digits[1][:12] if digits else _container_name(path)
    units = [unit for unit in _UNIT.findall(path) if not (digits and digits[1] in unit)]
    return container, bounded_name(units[-1]) if units else None


def pod_of(path: str) -> str | None:
    """The uid of the Kubernetes pod in a cgroup's path."""
    # Not one expression with ".*": a user can choose a path for which that takes milliseconds.
    start = path.find(_PODS)
    found = _POD.search(path, start + len(_PODS)) if start >= 0 else None
    return found[1].replace("_", "-") if found else None


def manager_of(path: str) -> int | None:
    """The uid of the user whose service manager has the cgroup, and who chose the names in its path."""
    found = _OF_USER.search(path)
    return int(found[1]) if found else None


def _container_name(path: str) -> str | None:
    named = _LXC.search(path) or _ECS.search(path)
    if named:
        return bounded_name(named[1])
    machine = _NSPAWN.search(path)
    if machine is None:
        return None
    name = _ESCAPED.sub(lambda escaped: chr(int(escaped[1], 16)), machine[1] or machine[2])
    return None if machine[1] and _LIBVIRT.match(name) else bounded_name(name)


def _folders(top: Path) -> Iterator[tuple[int, str]]:
    """Inode and path of at most `_MAX_FOLDERS` folders, those with the shortest way from ``top`` first."""
    yield top.stat().st_ino, str(top)
    waiting, seen = deque([str(top)]), 1
    while waiting:
        try:
            with os.scandir(waiting.popleft()) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        continue
                    if seen >= _MAX_FOLDERS:
                        return
                    yield entry.inode(), entry.path
                    waiting.append(entry.path)
                    seen += 1
        except OSError:  # the cgroup was removed meanwhile, or its path is too long
            continue
