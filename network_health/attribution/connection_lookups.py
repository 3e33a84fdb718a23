"""Looks up the culprits of the host's connections, and of those of containers.

Guarantees: at most `MAX_ENTERED` other network namespaces are entered in one check, all at the same time, and
one search finds the owners; nothing of them stays open.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
        self._owners, self._count = owners, count
        seen = snapshot.namespaces.entries if snapshot.namespaces else ()
        self._namespaces = {each.label: each for each in seen}
        #: The labels of the namespaces to enter, those first that matter most.
        self.due: Sequence[str] = ()

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
        """The culprits of the connections of one container; ``None`` if it has ended, or is not entered.

        Raises:
            OSError: the kernel denies access.
            KernelFormatError: its answer has an unknown format.
        """
        listing = self._of_namespaces.get(finding.subject)
        if listing is None:
            return None
        if isinstance(listing, Exception):
            raise listing
        clause, evidence = self._of_sockets(listing)
        return clause, {"namespace": finding.subject} | evidence

    @cached_property
    def _of_namespaces(self) -> Mapping[str, linux.SocketListing | Exception]:
        entered = [label for label in self.due if label in self._namespaces][:MAX_ENTERED]
        places = [(self._namespaces[label].pid, self._namespaces[label].inode) for label in entered]
        listings = linux.read_socket_groups_in(places, self._owners.deadline_s) if places else []
        return dict(zip(entered, listings, strict=True))

    def _of_sockets(self, listing: linux.SocketListing) -> Culprits:
        note = missing_owners.note_of_sockets(listing)
        clause, evidence = connection_culprits.of_connections(
            listing.groups, self._owners.owner_of, self._count, note
        )
        return clause, evidence | (
            {"users": missing_owners.user_entries(listing.users, self._count)} if note else {}
        )
