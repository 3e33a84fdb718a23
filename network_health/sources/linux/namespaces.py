"""Finds the other network namespaces, from ``/proc/<pid>/ns/net`` and ``/run/netns``; see namespaces(7).

Guarantees: no descriptor of a namespace stays open, because it would keep a namespace that has ended. At most
`MAX_NAMESPACES` are found.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping
from typing import NamedTuple

from network_health.model import bounded_name
from network_health.sources.linux.namespace_ids import Place, read_namespace_ids
from network_health.sources.linux.rtnetlink import read_links

MAX_NAMESPACES = 4096

#: Where programs mount namespaces, to keep them: iproute2, and Docker, whose names say nothing.
_NAMED, _UNNAMED = "/run/netns", "/run/docker/netns"
#: If the first process of a namespace ends meanwhile, the next one is read.
_MAX_PIDS = 3
#: Of how many processes without a first thread others are searched, and how many.
_MAX_ENDED, _MAX_THREADS = 100, 16


class NetworkNamespace(NamedTuple):
    """Another network namespace; ``path`` opens it.

    ``pid`` is the lowest one in it, ``None`` if it has no process. ``veths`` are the indexes of the veth
    interfaces of this namespace whose other ends are in it.
    """

    inode: int
    path: str
    pid: int | None
    veths: tuple[int, ...]


class NamespaceListing(NamedTuple):
    """The lowest pids of each other namespace, at most `_MAX_PIDS`, and where it is mounted, by inode.

    ``hidden`` is the number of processes whose namespace the kernel does not let this one read. If not
    ``is_whole``, there are more than `MAX_NAMESPACES`.
    """

    pids: Mapping[int, list[int]]
    mounts: Mapping[int, str]
    hidden: int
    is_whole: bool


def read_namespaces() -> tuple[NetworkNamespace, ...]:
    """The other network namespaces, those with processes first.

    Raises:
        OSError: ``/proc`` is not mounted, or the kernel denies access.
        KernelFormatError: the kernel's answer has an unknown format.
    """
    listing = list_namespaces()
    lowest = {inode: pids[0] for inode, pids in listing.pids.items()}
    places: dict[int, Place] = {**listing.mounts, **lowest}
    veths: dict[int, list[int]] = {}
    for link in read_links().values():
        if link.peer_namespace is not None and link.index is not None:
            veths.setdefault(link.peer_namespace, []).append(link.index)
    ids = read_namespace_ids(places) if veths else {}
    return tuple(
        NetworkNamespace(
            inode,
            f"/proc/{lowest[inode]}/ns/net" if inode in lowest else listing.mounts[inode],
            lowest.get(inode),
            tuple(veths.get(ids[inode], ())) if inode in ids else (),
        )
        for inode in {**lowest, **listing.mounts}
    )


def list_namespaces(seen: Mapping[int, int] | None = None) -> NamespaceListing:
    """The other network namespaces with their processes and mounts.

    ``seen`` has the namespaces of processes that were read just before, by pid.

    Raises:
        OSError: ``/proc`` is not mounted.
    """
    own = os.readlink("/proc/thread-self/ns/net")
    by_target: dict[str, list[int]] = {}
    known = {str(pid): f"net:[{inode}]" for pid, inode in (seen or {}).items()}
    hidden, is_whole, ended = 0, True, 0
    folder = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in os.listdir(folder):
            if not name.isdigit():
                continue
            try:
                target = known.get(name) or os.readlink(name + "/ns/net", dir_fd=folder)
            except PermissionError:
                hidden += 1
                continue
            except OSError:  # the process has ended, or its first thread has
                ended += 1
                thread = _living_thread(name, folder) if ended <= _MAX_ENDED else None
                name, target = thread or (name, own)
            if target == own:
                continue
            if target in by_target:
                by_target[target].append(int(name))
            elif len(by_target) < MAX_NAMESPACES:
                by_target[target] = [int(name)]
            else:
                is_whole = False
    finally:
        os.close(folder)
    pids = {_inode(target): sorted(found)[:_MAX_PIDS] for target, found in by_target.items()}
    mounts = _mounts(own)
    left = MAX_NAMESPACES - len(pids.keys() | mounts.keys())
    return NamespaceListing(pids, mounts if left >= 0 else {}, hidden, is_whole and left >= 0)


def _living_thread(process: str, folder: int) -> tuple[str, str] | None:
    """A thread of a process whose first thread has ended, and its namespace; ``None`` if there is none."""
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{process}/task")[:_MAX_THREADS]:
            with contextlib.suppress(OSError):
                return thread, os.readlink(thread + "/ns/net", dir_fd=folder)
    return None


def lives_in(pid: int, inode: int, folder: int) -> bool:
    """Whether the process lives in this network namespace now; ``folder`` is ``/proc``, opened."""
    try:
        return os.readlink(f"{pid}/ns/net", dir_fd=folder) == f"net:[{inode}]"
    except OSError:  # it has ended
        return False


def own_path() -> str:
    """Where any thread of this process can open the network namespace of the calling one."""
    return f"/proc/self/task/{threading.get_native_id()}/ns/net"


def read_namespace_of(pid: int) -> int | None:
    """The inode of the network namespace that a process lives in; ``None`` if it has ended or is hidden."""
    try:
        return _inode(os.readlink(f"/proc/{pid}/ns/net"))
    except OSError:
        return None


def mounted_name(path: str) -> str | None:
    """The name that a user gave to a mounted namespace, as ``ip netns add`` does; ``None`` if it has none."""
    folder, _, name = path.rpartition("/")
    return bounded_name(name) if folder == _NAMED else None


def _mounts(own: str) -> dict[int, str]:
    """Where other namespaces are mounted, by inode; a folder that cannot be read has none."""
    namespaces, found = os.stat("/proc/thread-self/ns/net").st_dev, dict[int, str]()
    inode = _inode(own)
    for folder in (_UNNAMED, _NAMED):
        with contextlib.suppress(OSError):
            for name in os.listdir(folder)[:MAX_NAMESPACES]:
                with contextlib.suppress(OSError):  # it was removed meanwhile
                    about = os.stat(f"{folder}/{name}")
                    if about.st_dev == namespaces and about.st_ino != inode:
                        found[about.st_ino] = f"{folder}/{name}"
    return found


def _inode(target: str) -> int:
    """The number in ``net:[4026531833]``."""
    return int(target.removeprefix("net:[").removesuffix("]"))
