"""Finds the processes that have a socket open, from the links in ``/proc/<pid>/fd``; see proc(5).

Guarantees: a kept answer is checked before it is given: each process still has the socket open. Memory and
time of a search are bounded, even if a process has very many descriptors.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from network_health.model import MAX_HOLDERS, Holders
from network_health.sources.linux.namespaces import read_namespace_of
from network_health.sources.linux.procfs import read_start_time

_PREFIX = "socket:["
#: With more sockets than this nothing is kept. They take about 1 MB.
_MAX_KEPT = 8192
#: After this time all processes are searched again: a socket may have been passed to one that ran before.
_KEPT_S = 300.0
#: After this many descriptors of one process the clock is read.
_BATCH = 4096
#: The position of descriptor 0 in the folder: after ``.`` and ``..``.
_DOTS = 2
#: So many numbers without a descriptor, and a quarter of the descriptors, are tried before they are listed.
_GAPS = 64


@dataclass(frozen=True, slots=True)
class SocketOwners:
    """The processes by inode; not all of them if the search was denied access to a process, or timed out.

    A closed socket has the processes that had it open, and none of them if they have ended.
    """

    pids: Mapping[int, Holders]
    access_denied: bool = False
    timed_out: bool = False


class OwnerSearch:
    """Iterates over processes, the lowest pid first, until the clock reaches ``deadline_s``.

    ``known`` has processes to leave out, as ``searched`` of an earlier search has them. With ``namespaces``
    (inodes) those in other network namespaces are left out. ``access_denied`` and
    ``timed_out`` say whether others were left out so far. Without a descriptor or memory, the search ends as
    if the time was up.
    """

    def __init__(
        self,
        deadline_s: float,
        now: Callable[[], float] = time.monotonic,
        known: Collection[tuple[int, int]] = (),
        namespaces: Collection[int] | None = None,
    ) -> None:
        self.access_denied = self.timed_out = False
        self.searched: set[tuple[int, int]] = set()
        self._deadline_s, self._now, self._known = deadline_s, now, known
        self._namespaces = namespaces

    def __iter__(self) -> Iterator[tuple[int, dict[int, str]]]:
        """Pid, and the descriptors of its sockets by inode; one with many comes several times in a row.

        Raises:
            OSError: ``/proc`` is missing, or no descriptor is left.
        """
        for process in _processes():
            if self._namespaces is not None and read_namespace_of(process[0]) not in self._namespaces:
                continue
            self.searched.add(process)
            if process in self._known:
                continue
            try:
                for links in _socket_links(process[0]):
                    yield process[0], links
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


class _Holder(NamedTuple):
    """A process that has a socket open: under which descriptor, and the start time of the process."""

    pid: int
    descriptor: str
    started: float | None


class OwnerFinder:
    """Finds the owners of sockets, and remembers them to save repeated searches."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[_Holder, ...]] = {}
        self._without_owner: set[int] = set()
        self._searched: set[tuple[int, int]] = set()
        self._searched_at_s = 0.0
        self._access_denied = False

    def find(
        self,
        inodes: Iterable[int],
        deadline_s: float,
        closed: Iterable[int] = (),
        now: Callable[[], float] = time.monotonic,
    ) -> SocketOwners:
        """The owners of ``inodes``, as far as they are found before the clock reaches ``deadline_s``.

        ``closed`` are the inodes of sockets that are closed by now. They have the owners of an earlier call.

        Raises:
            OSError: ``/proc`` is missing.
        """
        owners = self._of_closed(closed)
        wanted = {inode for inode in inodes if inode}
        held = self._still_held(wanted)
        if wanted and now() - self._searched_at_s > _KEPT_S:
            self._forget()
        search_all = not self._searched or bool(wanted - held.keys() - self._without_owner)
        search = OwnerSearch(deadline_s, now, () if search_all else self._searched)
        if wanted:
            kept = {} if search_all else {i: h for i, h in self._known.items() if i not in wanted} | held
            found = _search(search, wanted | self._known.keys(), kept)
            self._keep(wanted, found, search)
            self._searched_at_s = now() if search_all else self._searched_at_s
            owners |= {inode: tuple(each.pid for each in found[inode]) for inode in wanted & found.keys()}
        if len(self._known) + len(self._without_owner) > _MAX_KEPT:
            self._forget()
        return SocketOwners(owners, self._access_denied, search.timed_out)

    def _forget(self) -> None:
        self._known, self._without_owner, self._searched = {}, set(), set()

    def _still_held(self, wanted: set[int]) -> dict[int, tuple[_Holder, ...]]:
        """The kept holders that have the sockets open now."""
        found = {}
        for inode in wanted & self._known.keys():
            holders = tuple(each for each in self._known[inode] if _is_open(each, inode))
            if holders:
                found[inode] = holders
        return found

    def _of_closed(self, closed: Iterable[int]) -> dict[int, Holders]:
        """The last holders of closed sockets. If only some of them have ended, nobody knows which it was."""
        found: dict[int, Holders] = {}
        for inode in closed:
            holders = self._known.get(inode, ())
            present = [each.pid for each in holders if read_start_time(each.pid) == each.started is not None]
            if holders and len(present) in (0, len(holders)):
                found[inode] = tuple(present)
        return found

    def _keep(self, wanted: set[int], found: dict[int, tuple[_Holder, ...]], search: OwnerSearch) -> None:
        self._access_denied = self._access_denied or search.access_denied
        self._known.update(found)
        is_complete = not (search.timed_out or self._access_denied)
        self._without_owner = wanted - found.keys() if is_complete else set()
        self._searched = search.searched if is_complete else set()


def find_owners_first_in(
    namespaces: Collection[int], inodes: Collection[int], deadline_s: float
) -> SocketOwners:
    """The owners of ``inodes`` in these network namespaces; the other processes only if one is not found.

    Raises:
        OSError: ``/proc`` is missing.
    """
    search = OwnerSearch(deadline_s, namespaces=namespaces)
    found = _search(search, set(inodes) - {0}, {})
    left = set(inodes) - {0} - found.keys()
    is_denied = search.access_denied
    if left and not search.timed_out:
        search = OwnerSearch(deadline_s, known=search.searched)
        found = _search(search, left, found)
        is_denied = is_denied or search.access_denied
    owners = {inode: tuple(each.pid for each in holders) for inode, holders in found.items()}
    return SocketOwners(owners, is_denied, search.timed_out)


def _search(
    search: OwnerSearch, inodes: set[int], found: dict[int, tuple[_Holder, ...]]
) -> dict[int, tuple[_Holder, ...]]:
    """``found``, with the holders of ``inodes`` that a search finds."""
    for pid, links in search:
        hits = inodes.intersection(links)
        started = read_start_time(pid) if hits else None
        for inode in hits:
            before = found.get(inode, ())
            if len(before) < MAX_HOLDERS and all(each.pid != pid for each in before):
                found[inode] = (*before, _Holder(pid, links[inode], started))
    return found


def _processes() -> Iterator[tuple[int, int]]:
    """Pid and inode of each ``/proc/<pid>``, the lowest pid first; another process has another inode."""
    with os.scandir("/proc") as entries:
        found = [(int(each.name), each.inode()) for each in entries if each.name.isdigit()]
    return iter(sorted(found))


def _socket_links(pid: int) -> Iterator[dict[int, str]]:
    """The sockets that a process has open: descriptors by inode, for each `_BATCH` descriptors.

    Raises:
        PermissionError: the process belongs to another user.
        OSError: the process has ended.
    """
    folder = os.open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY)
    try:
        # The number of descriptors since Linux 6.2, 0 before. Most processes number them without large gaps:
        # then trying the numbers costs a tenth less than listing them.
        left, following = os.fstat(folder).st_size, 0
        tried = left + left // 4 + _GAPS if left else 0
        for first in range(0, tried, _BATCH):
            end = min(first + _BATCH, tried)
            numbers = iter(range(first, end))
            found, links = _read_links(folder, map(str, numbers), left)
            yield links
            left, following = left - found, next(numbers, end)
            if not left:
                break
        # List the others. Some are left, too, if the process opened descriptors with lower numbers.
        os.lseek(folder, following + _DOTS, os.SEEK_SET)
        with os.scandir(folder) as entries:
            others = (entry.name for entry in entries)
            while batch := list(itertools.islice(others, _BATCH)):
                yield _read_links(folder, batch, _BATCH)[1]
    finally:
        os.close(folder)


def _read_links(folder: int, names: Iterable[str], most: int) -> tuple[int, dict[int, str]]:
    """Of the descriptors ``names``, at most ``most``: how many are open, and those of sockets by inode."""
    readlink = os.readlink  # local, for speed
    count, links = 0, {}
    for name in names:
        try:
            link = readlink(name, dir_fd=folder)
        except FileNotFoundError:  # not open
            continue
        if link.startswith(_PREFIX):
            links[int(link[8:-1])] = name
        count += 1
        if count == most:
            break
    return count, links


def _is_open(holder: _Holder, inode: int) -> bool:
    try:
        return os.readlink(f"/proc/{holder.pid}/fd/{holder.descriptor}") == f"{_PREFIX}{inode}]"
    except OSError:  # the process has closed it, or has ended
        return False
