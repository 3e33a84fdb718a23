"""Looks up the culprits of the host's connections, and of those of containers.

Guarantees: at most `MAX_ENTERED` other network namespaces are entered in one check; nothing of them stays
open.
"""

from __future__ import annotations

from functools import cached_property

from network_health.attribution import connection_culprits, missing_owners
from network_health.attribution.evidence import Culprits
from network_health.attribution.owner_lookups import OwnerLookups
from network_health.model import Finding, Snapshot
from network_health.sources import linux

#: How many other network namespaces are entered in one check; the findings about others are due in the next.
MAX_ENTERED = 3


class ConnectionLookups:
    """The lookups of one check; at most ``count`` culprits of each kind are reported."""

    def __init__(self, snapshot: Snapshot, owners: OwnerLookups, count: int) -> None:
        self._snapshot, self._owners, self._count = snapshot, owners, count
        self._entered = 0

    @cached_property
    def sockets(self) -> linux.SocketListing:
        """All sockets of the host, listed when this is first used.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        return linux.read_socket_groups(self._owners.deadline_s)

    def of_host(self, _: Finding) -> Culprits:
        """The culprits of the host's connections."""
        return self._of_sockets(self.sockets)

    def of_namespace(self, finding: Finding) -> Culprits | None:
        """The culprits of the connections of one container; ``None`` if it has ended, or is not entered."""
        seen = self._snapshot.namespaces
        namespace = (
            next((each for each in seen.entries if each.label == finding.subject), None) if seen else None
        )
        if namespace is None or self._entered >= MAX_ENTERED:
            return None
        self._entered += 1
        listing = linux.call_in_namespace(
            namespace.pid, namespace.inode, lambda: linux.read_socket_groups(self._owners.deadline_s)
        )
        clause, evidence = self._of_sockets(listing)
        return clause, {"namespace": finding.subject} | evidence

    def _of_sockets(self, listing: linux.SocketListing) -> Culprits:
        note = missing_owners.note_of_sockets(listing)
        clause, evidence = connection_culprits.of_connections(
            listing.groups, self._owners.owner_of, self._count, note
        )
        return clause, evidence | (
            {"users": missing_owners.user_entries(listing.users, self._count)} if note else {}
        )
