"""Counts the sockets of other network namespaces, from ``/proc/<pid>/net/sockstat``; see proc_pid_net(5).

Guarantees: a reading never raises an error of the kernel: it says what is missing. What names a namespace is
read again if its processes have changed, in the next reading after that (a container that starts has another
name), and after `MAX_CACHE_S`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from network_health.model import Namespace, Namespaces
from network_health.sources.linux import cgroups, namespaces
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.namespace_ids import read_namespace_ids
from network_health.sources.linux.namespace_owner import belongs_here
from network_health.sources.linux.process_visibility import read_obstacle
from network_health.sources.linux.procfs import read_name

#: TCP and UDP sockets.
_Counts = tuple[int | None, int | None]
_UNKNOWN: _Counts = (None, None)

MAX_CACHE_S = 300.0

_NO_RESOURCES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)

#: What is read is in the first 170. For more than 512 bytes, with its header, Python asks malloc each time.
_SOCKSTAT_BYTES = 448
#: The sockets of TCP, those in TIME_WAIT over IPv4 and IPv6, and the sockets of UDP.
_COUNTS = re.compile(rb"^TCP: inuse (\d+) orphan \d+ tw (\d+).*\nUDP: inuse (\d+)", re.MULTILINE)
#: The sockets of TCP and UDP.
_COUNTS6 = re.compile(rb"^TCP6: inuse (\d+)\nUDP6: inuse (\d+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Known:
    """A namespace without counts, the pids that it had, and when it was read; ``reads`` in a row."""

    namespace: Namespace
    pids: Sequence[int]
    at_s: float
    reads: int


class NamespaceReader:
    """Reads the namespaces other than that of the calling thread: use it always from the same one."""

    def __init__(self) -> None:
        self._known: dict[int, _Known] = {}
        self._obstacle = read_obstacle()

    def read(self) -> Namespaces:
        """All other namespaces that processes live in; one that ends meanwhile is left out."""
        try:
            folder = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            return _unreadable(error)
        try:
            counts = dict(self._read_known(folder))
            seen = {self._known[inode].namespace.pid: inode for inode in counts}
            listing = namespaces.list_namespaces(seen)
            self._identify(listing, folder)
            entries = [
                _with_counts(self._known[inode].namespace, *found)
                for inode, pids in listing.pids.items()
                if (found := counts.get(inode) or _read_counts(inode, pids, folder)) is not None
            ]
        except OSError as error:
            return _unreadable(error)
        finally:
            os.close(folder)
        return Namespaces(tuple(entries), listing.hidden, is_whole=listing.is_whole, obstacle=self._obstacle)

    def _read_known(self, folder: int) -> Iterator[tuple[int, _Counts]]:
        """The counts of the namespaces whose process still lives in them, by inode.

        They are read before all namespaces are listed, which need not look at these processes again then.
        """
        for inode, known in self._known.items():
            counts = _read_counts(inode, [known.namespace.pid], folder)
            if counts is not None and counts != _UNKNOWN:
                yield inode, counts

    def _identify(self, listing: namespaces.NamespaceListing, folder: int) -> None:
        """Read what names each new namespace, and forget those that have ended.

        The process that names a namespace does so until it leaves: another one with a lower pid may only
        visit it.
        """
        now_s = time.monotonic()
        due = {}
        for inode, pids in listing.pids.items():
            known = self._known.get(inode)
            if known is None:
                due[inode] = pids[0]
            elif known.pids != pids or known.reads < 2 or now_s - known.at_s >= MAX_CACHE_S:
                pid = known.namespace.pid
                due[inode] = pid if namespaces.lives_in(pid, inode, folder) else pids[0]
        ids: dict[int, int] = {}
        if due:
            with contextlib.suppress(OSError, KernelFormatError):  # then no veth is known
                ids = read_namespace_ids(due)
        known_now = {inode: self._known[inode] for inode in listing.pids.keys() - due.keys()}
        for inode, pid in due.items():
            before, pids = self._known.get(inode), listing.pids[inode]
            namespace = _identity(inode, pid, listing.mounts.get(inode, ""))._replace(
                kernel_id=ids.get(inode)
            )
            is_same = before is not None and before.pids == pids
            known_now[inode] = _Known(namespace, pids, now_s, before.reads + 1 if before and is_same else 1)
        self._known = known_now


def parse_counts(sockstat: bytes, sockstat6: bytes) -> _Counts:
    """The TCP and UDP sockets of a namespace; ``None`` if they are unknown.

    Without IPv6 ``sockstat6`` is empty.
    """
    found = _COUNTS.search(sockstat)
    found6 = _COUNTS6.search(sockstat6) if sockstat6 else None
    if found is None or (sockstat6 and found6 is None):
        return _UNKNOWN
    tcp, waiting, udp = found.groups()
    tcp6, udp6 = found6.groups() if found6 else (0, 0)
    return int(tcp) + int(waiting) + int(tcp6), int(udp) + int(udp6)


def _identity(inode: int, pid: int, mount: str) -> Namespace:
    path = cgroups.read_cgroup(pid)
    container, unit = cgroups.container_and_unit(path)
    try:
        process = read_name(pid)
    except OSError:
        process = None
    mounted = namespaces.mounted_name(mount)
    pod, manager = cgroups.pod_of(path), cgroups.manager_of(path)
    places = container, pod, unit, mounted
    return Namespace(inode, pid, process, *places, manager=manager, belongs_here=belongs_here(pid))


def _unreadable(error: OSError) -> Namespaces:
    return Namespaces(failure=f"{type(error).__name__}: {error}", is_whole=False)


def _with_counts(named: Namespace, tcp: int | None, udp: int | None) -> Namespace:
    # Not `_replace`, for speed: it takes twice the time, for each namespace in each check.
    return Namespace(*named[:7], tcp, udp, *named[9:])


def _read_counts(inode: int, pids: Sequence[int], folder: int) -> _Counts | None:
    """The counts of the first of the processes that lives in the namespace; ``None`` if none does."""
    for pid in pids:
        try:
            sockstat = _read(f"{pid}/net/sockstat", folder)
            try:
                sockstat6 = _read(f"{pid}/net/sockstat6", folder)
            except FileNotFoundError:  # without IPv6; of an ended process the first file had no text either
                sockstat6 = b""
        except OSError as error:
            if error.errno in _NO_RESOURCES:  # then it is not known whether the process has ended
                return _UNKNOWN
            continue
        if namespaces.lives_in(pid, inode, folder):  # else these are the counts of another namespace
            return parse_counts(sockstat, sockstat6)
    return None


def _read(path: str, folder: int) -> bytes:
    """The start of a file that has a few hundred bytes, which the kernel returns at once."""
    descriptor = os.open(path, os.O_RDONLY, dir_fd=folder)
    try:
        return os.read(descriptor, _SOCKSTAT_BYTES)
    finally:
        os.close(descriptor)
