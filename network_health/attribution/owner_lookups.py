"""Finds the owners of sockets for all lookups of one check, and what the reports say about each process.

Guarantees: all searches of one check end at the same time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from network_health.attribution import ownership
from network_health.model import ANOTHER_PROCESS, CallTraffic, Holders, Owner, Socket
from network_health.sources import linux


class NamespaceSockets(NamedTuple):
    """Sockets of one network namespace, all of its listeners, and further sockets with the same peers."""

    sockets: Sequence[Socket]
    listeners: Sequence[Socket]
    connected: Sequence[Socket]


def read_connected(sockets: Sequence[Socket], listeners: Sequence[Socket]) -> NamespaceSockets:
    """Add the sockets that may show whose closed connections these are, in the calling thread's namespace.

    A closed connection has no owner, but its process may have another one to the same endpoint.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    ports = {each.local_port for each in listeners}
    closed = [each for each in sockets if each.state == "CLOSE" and each.local_port not in ports]
    connected = linux.read_connected_to({(s.remote, s.remote_port) for s in closed}) if closed else []
    return NamespaceSockets(sockets, listeners, connected)


class OwnerLookups:
    """Finds owners with ``finder``, for at most ``search_s`` from now on.

    ``counted`` are calls of processes that may have ended, by pid. ``labels`` are those of the network
    namespaces whose processes are reported with it, by inode. ``known`` has the processes that were reported,
    by pid.
    """

    def __init__(
        self,
        finder: linux.OwnerFinder,
        search_s: float,
        counted: Mapping[int, CallTraffic] = MappingProxyType({}),
        labels: Mapping[int, str] = MappingProxyType({}),
    ) -> None:
        self._finder = finder
        self._counted, self._labels = counted, labels
        self.deadline_s = time.monotonic() + search_s
        self.known: dict[int, Owner] = {}

    def find(self, inodes: Iterable[int]) -> linux.SocketOwners:
        """The processes that have ``inodes`` open.

        Raises:
            OSError: ``/proc`` is missing.
        """
        return self._finder.find(inodes, self.deadline_s)

    def of_sockets(
        self, namespaces: Sequence[NamespaceSockets]
    ) -> tuple[linux.SocketOwners, list[list[Holders | None]]]:
        """The result of one search for all, and the owners of each socket, also of closed and half-open ones.

        Raises:
            OSError: ``/proc`` is missing.
        """
        owners = self._find(socket for each in namespaces for part in each for socket in part)
        return owners, [
            ownership.owners_of(each.sockets, owners.pids, each.listeners, each.connected)
            for each in namespaces
        ]

    def _find(self, sockets: Iterable[Socket]) -> linux.SocketOwners:
        is_closed = {each.inode: each.state == "CLOSE" for each in sockets}
        closed = {inode for inode, closed in is_closed.items() if closed}
        if not self._labels:
            return self._finder.find(is_closed.keys() - closed, self.deadline_s, closed)
        kept = self._finder.find((), self.deadline_s, closed).pids
        here = linux.read_namespace_of(os.getpid())
        namespaces = self._labels.keys() | ({here} if here else set())
        found = linux.find_owners_first_in(namespaces, is_closed.keys() - closed, self.deadline_s)
        return replace(found, pids={**kept, **found.pids})

    def owner_of(self, holders: Holders) -> Owner:
        """The first process, and those that share its sockets."""
        if not holders:
            return Owner(None)
        first, *others = (self._process(pid) for pid in holders)
        return replace(first, shared_with=tuple(others))

    def _process(self, pid: int) -> Owner:
        if pid == ANOTHER_PROCESS:
            return Owner(None, "another process")
        if pid not in self.known:
            details = linux.read_process_details([pid]).get(pid)
            name, user = (details.name, details.user) if details else (None, None)
            inode = linux.read_namespace_of(pid) if self._labels else None
            namespace = None if inode is None else self._labels.get(inode)
            places = linux.read_container_and_unit(pid)
            owner = Owner(pid, name, user, *places, namespace=namespace)
            counted = self._counted.get(pid)
            if counted and not linux.is_running(pid, counted.started):  # another one may have its pid
                return Owner(None, counted.name)
            self.known[pid] = owner
        return self.known[pid]
