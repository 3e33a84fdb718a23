"""Finds the process that has a socket open, from the links in ``/proc/<pid>/fd``; see proc(5).

Guarantees: the owner of a socket that several processes share (after a fork) is the lowest pid, usually the
parent. Memory and time of the search are bounded, even if a process has very many descriptors.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

_PREFIX = "socket:["
#: With more sockets than this nothing is kept. They take about 1 MB.
_MAX_KEPT = 8192
#: After this many descriptors of one process the clock is read.
_BATCH = 4096


@dataclass(frozen=True, slots=True)
class SocketOwners:
    """Pids by inode; not all of them if the search was denied access to a process, or timed out."""

    pids: Mapping[int, int]
    access_denied: bool = False
    timed_out: bool = False


class OwnerSearch:
    """Iterates over processes, the lowest pid first, until the clock reaches ``deadline_s``.

    ``access_denied`` and ``timed_out`` say whether processes were left out so far. Without a descriptor or
    memory, the search ends as if the time was up.
    """

    def __init__(self, deadline_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.access_denied = self.timed_out = False
        self._deadline_s, self._now = deadline_s, now

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        """Pid, and the inodes of its sockets; a process with many descriptors comes several times in a row.

        Raises:
            OSError: ``/proc`` is missing, or no descriptor is left.
        """
        for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
            try:
                for inodes in _socket_inodes(pid):
                    yield pid, inodes
                    self.timed_out = self._now() > self._deadline_s
                    if self.timed_out:
                        return
            except PermissionError:
                self.access_denied = True
            except (FileNotFoundError, ProcessLookupError):  # the process has ended
                continue
            except OSError:  # no descriptor or no memory left: what was not found is not without an owner
                self.timed_out = True
                return


class OwnerFinder:
    """Finds the owners of sockets, and remembers them to save repeated searches."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._without_owner: set[int] = set()
        self._access_denied = False

    def find(
        self, inodes: Iterable[int], deadline_s: float, now: Callable[[], float] = time.monotonic
    ) -> SocketOwners:
        """The owners of ``inodes``, as far as they are found before the clock reaches ``deadline_s``.

        Raises:
            OSError: ``/proc`` is missing.
        """
        wanted = {inode for inode in inodes if inode}
        missing = wanted - self._known.keys() - self._without_owner
        search = OwnerSearch(deadline_s, now)
        for pid, held in search if missing else ():
            found = missing.intersection(held)
            self._known.update(dict.fromkeys(found, pid))
            missing -= found
            if not missing:
                break
        self._access_denied = self._access_denied or search.access_denied
        pids = {inode: self._known[inode] for inode in wanted & self._known.keys()}
        is_complete = not (search.timed_out or self._access_denied)
        self._without_owner = (self._without_owner & wanted) | missing if is_complete else set()
        if len(self._known) + len(self._without_owner) > _MAX_KEPT:
            self._known, self._without_owner = {}, set()
        return SocketOwners(pids, self._access_denied, search.timed_out)


def _socket_inodes(pid: int) -> Iterator[list[int]]:
    """The inodes of the sockets that a process has open: a list for each `_BATCH` descriptors, at least one.

    Raises:
        PermissionError: the process belongs to another user.
        OSError: the process has ended.
    """
    folder = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with os.scandir(folder) as entries:
            while True:
                batch = list(itertools.islice(entries, _BATCH))
                yield [inode for entry in batch if (inode := _socket_inode(entry.name, folder))]
                if len(batch) < _BATCH:
                    return
    finally:
        os.close(folder)


def _socket_inode(name: str, folder: int) -> int:
    """The inode of the socket that a descriptor is open on; 0 if it is none, or was closed meanwhile."""
    try:
        link = os.readlink(name, dir_fd=folder)
    except FileNotFoundError:
        return 0
    return int(link[len(_PREFIX) : -1]) if link.startswith(_PREFIX) else 0
