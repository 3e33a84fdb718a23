"""Which process holds a socket, from the links in ``/proc/<pid>/fd``; see proc(5).

Laws: a socket that several processes hold (it was shared by fork) belongs to the lowest pid, mostly
the parent. What is known is not looked up again; what nobody holds is not either.
"""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

_PREFIX = "socket:["
#: Of more than so many sockets nothing is kept: about 1 MB.
_MOST_KEPT = 8192


@dataclass(frozen=True, slots=True)
class Owned:
    """Pids by inode. ``is_refused``: others' processes could not be looked at; ``is_late``: not all were."""

    pids: Mapping[int, int]
    is_refused: bool = False
    is_late: bool = False


class Search:
    """A walk over the processes and the sockets that each holds, the lowest pid first.

    It ends where the clock says ``until_s``: ``is_late``. ``is_refused``: some could not be looked at.
    """

    def __init__(self, until_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.is_refused = self.is_late = False
        self._until_s, self._now = until_s, now

    def __iter__(self) -> Iterator[tuple[int, list[int]]]:
        """Pid, and the inodes of its sockets.

        Raises:
            OSError: ``/proc`` is missing.
        """
        for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
            if self.is_late:
                break
            try:
                held = _sockets_of(pid)
            except PermissionError:
                self.is_refused = True
                continue
            except OSError:  # it has ended
                continue
            yield pid, held
            self.is_late = self._now() > self._until_s


class OwnerFinder:
    """Finds holders of sockets, and remembers them as long as they are not too many."""

    def __init__(self) -> None:
        self._known: dict[int, int] = {}
        self._nobodys: set[int] = set()
        self._is_refused = False

    def find(self, inodes: Iterable[int], until_s: float, now: Callable[[], float] = time.monotonic) -> Owned:
        """The holder of each of ``inodes`` that has one; stops where the clock says ``until_s``.

        Raises:
            OSError: ``/proc`` is missing.
        """
        asked = {inode for inode in inodes if inode}
        missing = asked - self._known.keys() - self._nobodys
        search = Search(until_s, now)
        for pid, held in search if missing else ():
            found = missing.intersection(held)
            self._known.update(dict.fromkeys(found, pid))
            missing -= found
            if not missing:
                break
        self._is_refused = self._is_refused or search.is_refused
        pids = {inode: self._known[inode] for inode in asked & self._known.keys()}
        self._nobodys = set() if search.is_late or self._is_refused else (self._nobodys & asked) | missing
        if len(self._known) + len(self._nobodys) > _MOST_KEPT:
            self._known, self._nobodys = {}, set()
        return Owned(pids, self._is_refused, search.is_late)


def user_name(uid: int) -> str:
    """The user's name, or the number where nobody has given it one."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _sockets_of(pid: int) -> list[int]:
    """The inodes of the sockets that a process holds.

    Raises:
        PermissionError: it is somebody else's.
        OSError: it has ended.
    """
    held = []
    folder = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY)
    try:
        readlink, start = os.readlink, len(_PREFIX)
        for name in os.listdir(folder):
            try:
                link = readlink(name, dir_fd=folder)
            except FileNotFoundError:  # closed meanwhile
                continue
            if link.startswith(_PREFIX):
                held.append(int(link[start:-1]))
    finally:
        os.close(folder)
    return held
