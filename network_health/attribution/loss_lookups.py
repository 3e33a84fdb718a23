"""Looks up the culprits of lost packets and of tables that are nearly full: one function per check.

Guarantees: only what increased since the last reading counts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from network_health.attribution import listener_culprits, loss_culprits, retransmit_culprits, udp_culprits
from network_health.attribution.evidence import Culprits, OwnerOf
from network_health.attribution.loss_readings import LossReadings
from network_health.attribution.traffic_window import Window
from network_health.model import Finding, Holders, Interface, Snapshot, Socket, SocketGroup
from network_health.settings import Settings
from network_health.sources import linux

#: The checks that need the segments that each socket sent again.
RETRANSMITS = frozenset({"retransmits", "peer_retransmits"})


@dataclass(frozen=True, slots=True)
class Context:
    """What a lookup of one check works with; ``groups`` lists all sockets when it is called first.

    ``interfaces`` are those of the snapshot by name. ``window`` has the segments that were sent again, if
    they were read. ``owners_of`` gets sockets, also closed ones, and the listeners.
    """

    snapshot: Snapshot
    interfaces: Mapping[str, Interface]
    settings: Settings
    losses: LossReadings
    find_owners: Callable[[Iterable[int]], linux.SocketOwners]
    owner_of: OwnerOf
    groups: Callable[[], Sequence[SocketGroup]]
    window: Window | None
    owners_of: Callable[[Sequence[Socket], Sequence[Socket]], list[Holders | None]]

    @property
    def count(self) -> int:
        """How many culprits the evidence has."""
        return self.settings.top_n_procs or 1


def retransmits(context: Context, finding: Finding) -> Culprits | None:
    """The peers and processes whose segments were sent again; of one bad peer only this one."""
    window, protocols = context.window, context.snapshot.protocols
    if window is None:
        return None
    resent, counted = window.resent, 0.0
    if finding.check == "peer_retransmits":
        peer = retransmit_culprits.worst_peer(resent, window.traffic)
        resent = tuple(each for each in resent if peer and each.socket.remote == peer.address)
    elif protocols and not window.is_sample:
        counted = _lost(context, "out_segments_per_sec") * (protocols.retransmit_percent or 0) / 100
    holders = context.owners_of([each.socket for each in resent], window.listeners)
    return retransmit_culprits.of_retransmits(
        list(zip(resent, holders, strict=True)),
        window.traffic,
        {each.local_port for each in window.listeners},
        context.owner_of,
        context.count,
        counted,
    )


def packet_errors(context: Context, finding: Finding) -> Culprits | None:
    """The kinds of new errors and drops of an interface."""
    interface = context.interfaces.get(finding.subject)
    if interface is None or interface.link.index is None:
        return None
    are_all_new = interface.since_boot or context.settings.packet_errors == "total"
    new = context.losses.kinds.losses(interface.link.index, are_all_new=are_all_new)
    return loss_culprits.of_kinds(finding.subject, new)


def listeners(context: Context, _: Finding) -> Culprits:
    """The ports whose listeners refused connections, and what filled them."""
    losses = context.losses.listeners.losses()
    return listener_culprits.of_listeners(
        _owned(context, losses.sockets),
        losses.new,
        linux.read_half_open(),
        context.owner_of,
        context.count,
        _lost(context, "listen_drops_per_sec") if losses.since_last_check else 0,
    )


def syn_cookies(context: Context, _: Finding) -> Culprits:
    """The ports with most half-open connections: the kernel counts SYN cookies not by listener."""
    owned = _owned(context, context.losses.listeners.losses().sockets)
    return listener_culprits.of_half_open(owned, linux.read_half_open(), context.owner_of, context.count)


def udp_receive(context: Context, _: Finding) -> Culprits:
    """The UDP sockets that lost datagrams."""
    losses = context.losses.udp.losses()
    pids = context.find_owners(each.inode for each in losses.sockets if losses.new[each.cookie]).pids
    lost = _lost(context, "udp_receive_buffer_errors_per_sec") if losses.since_last_check else 0
    return udp_culprits.of_receivers(losses.sockets, losses.new, pids, context.owner_of, context.count, lost)


def udp_send(context: Context, _: Finding) -> Culprits:
    """The UDP sockets whose send buffers are full."""
    sockets = linux.read_lossy_udp_sockets()
    pids = context.find_owners(each.inode for each in sockets if each.queued).pids
    return udp_culprits.of_senders(sockets, pids, context.owner_of, context.count)


def softnet(context: Context, finding: Finding) -> Culprits | None:
    """The CPUs on which packets were dropped, or receive processing was stopped."""
    protocols = context.snapshot.protocols
    new: Mapping[int, int] = getattr(protocols, f"{finding.check}_by_cpu") if protocols else {}
    return loss_culprits.of_cpus(+Counter(new), context.count) if any(new.values()) else None


def _owned(context: Context, sockets: Sequence[Socket]) -> list[listener_culprits.OwnedListener]:
    pids = context.find_owners(each.inode for each in sockets).pids
    return [(each, pids.get(each.inode)) for each in sockets]


def _lost(context: Context, rate: str) -> float:
    """How much was lost since the previous check as the protocol counters have it; 0 if unknown."""
    protocols = context.snapshot.protocols
    return (getattr(protocols, rate) or 0) * (protocols.window_s or 0) if protocols else 0


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
    **dict.fromkeys(RETRANSMITS, retransmits),
    "packet_errors": packet_errors,
    "listen_overflows": listeners,
    "listen_drops": listeners,
    "syn_queue_drops": listeners,
    "syn_cookies": syn_cookies,
    "udp_receive": udp_receive,
    "udp_send": udp_send,
    "softnet_dropped": softnet,
    "softnet_squeezed": softnet,
    "ephemeral_ports": ephemeral_ports,
    "conntrack": conntrack,
}
