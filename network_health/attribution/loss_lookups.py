"""Looks up the culprits of lost packets and of tables that are nearly full: one function per check.

Guarantees: only what increased since the last reading counts.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from network_health.attribution import loss_culprits
from network_health.attribution.evidence import Culprits, OwnerOf
from network_health.model import Finding, Snapshot, Socket, SocketGroup
from network_health.settings import Settings
from network_health.sources import linux


@dataclass(slots=True)
class ReportedLosses:
    """Lifetime counters at the last report: losses by interface and kind, refused connections by listener."""

    kinds: Mapping[int, Mapping[str, int]]
    refused: Mapping[int, int]

    @classmethod
    def read(cls) -> ReportedLosses:
        """The present counters; 0 if they cannot be read, so that the first breach reports all losses."""
        losses = cls({}, {})
        with contextlib.suppress(OSError, ValueError):
            losses.kinds = linux.read_loss_kinds()
        with contextlib.suppress(OSError, ValueError):
            losses.refused = {each.cookie: each.drops for each in linux.read_listeners()}
        return losses


@dataclass(frozen=True, slots=True)
class Context:
    """What a lookup of one check works with; ``groups`` lists all sockets when it is called first."""

    snapshot: Snapshot
    settings: Settings
    reported: ReportedLosses
    find_owners: Callable[[Iterable[Socket]], linux.SocketOwners]
    owner_of: OwnerOf
    groups: Callable[[], Sequence[SocketGroup]]

    @property
    def count(self) -> int:
        """How many culprits the evidence has."""
        return self.settings.top_n_procs or 1


def packet_errors(context: Context, finding: Finding) -> Culprits | None:
    """The kinds of new errors and drops of an interface."""
    interfaces = context.snapshot.interfaces or ()
    interface = next((each for each in interfaces if each.link.name == finding.subject), None)
    if interface is None or interface.link.index is None:
        return None
    reported, index = context.reported, interface.link.index
    by_index = linux.read_loss_kinds()
    kinds = by_index.get(index, {})
    are_all_new = interface.since_boot or context.settings.packet_errors == "total"
    before = {} if are_all_new else reported.kinds.get(index, {})
    present = {each: known for each, known in reported.kinds.items() if each in by_index}
    reported.kinds = present | {index: kinds}
    return loss_culprits.of_kinds(finding.subject, loss_culprits.new_since(before, kinds))


def listeners(context: Context, _: Finding) -> Culprits:
    """The listeners that refused connections."""
    listening = linux.read_listeners()
    refused = {each.cookie: each.drops for each in listening}
    new = loss_culprits.new_since(context.reported.refused, refused)
    context.reported.refused = refused
    pids = context.find_owners(listening).pids
    owned = [(each, pids.get(each.inode)) for each in listening]
    return loss_culprits.of_listeners(owned, new, context.owner_of, context.count)


def ephemeral_ports(context: Context, _: Finding) -> Culprits | None:
    """The processes that use the ports of the busiest route."""
    protocols = context.snapshot.protocols
    use = protocols.busiest_ports if protocols else None
    if use is None:
        return None
    return loss_culprits.of_route(use, context.groups(), context.owner_of, context.count)


def conntrack(context: Context, _: Finding) -> Culprits | None:
    """The sources of most tracked connections."""
    addresses = linux.read_conntrack_sources()
    return loss_culprits.of_conntrack(addresses, context.count) if addresses else None


LOOKUPS: Mapping[str, Callable[[Context, Finding], Culprits | None]] = {
    "packet_errors": packet_errors,
    "listen_overflows": listeners,
    "syn_queue_drops": listeners,
    "ephemeral_ports": ephemeral_ports,
    "conntrack": conntrack,
}
