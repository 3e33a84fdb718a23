"""Reads an interface's errors and drops by kind, from ``NETLINK_ROUTE``; see if_link.h and pkt_sched.h.

Guarantees: counts are lifetime totals under the kernel's names. ``qdisc`` is the number of packets that the
queueing discipline dropped; the interface's own counters do not include these.
"""

from __future__ import annotations

import struct

from network_health.sources.linux import netlink, rtnetlink

Kinds = dict[str, int]

_NETLINK_ROUTE = 0
_NEWQDISC, _GETQDISC = 36, 38
_TCMSG = struct.Struct("=BxxxiIII")  # family, interface index, handle, parent, info
_ROOT = 0xFFFFFFFF  # TC_H_ROOT
_TCA_STATS2, _TCA_STATS_QUEUE = 7, 3
_QUEUE = struct.Struct("=8xI")  # gnet_stats_queue: drops

#: Counters of rtnl_link_stats64 by position.
_KINDS = {
    6: "rx_dropped",
    7: "tx_dropped",
    10: "rx_length",
    11: "rx_over",
    12: "rx_crc",
    13: "rx_frame",
    14: "rx_fifo",
    15: "rx_missed",
    16: "tx_aborted",
    17: "tx_carrier",
    18: "tx_fifo",
    19: "tx_heartbeat",
    20: "tx_window",
}
_COUNTERS = struct.Struct("=21Q24x")


def read_loss_kinds() -> dict[int, Kinds]:
    """The lost packets by kind, by interface index.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    kinds = {index: parse_kinds(counters) for index, counters in rtnetlink.dump_stats().items()}
    get_qdiscs = netlink.dump_request(_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0))
    for index, drops in netlink.dump(_NETLINK_ROUTE, get_qdiscs, dict[int, int], parse_qdiscs).items():
        if drops and index in kinds:
            kinds[index]["qdisc"] = drops
    return kinds


def parse_kinds(counters: bytes) -> Kinds:
    """The counters above 0 of one interface, from `rtnetlink.dump_stats`."""
    values = _COUNTERS.unpack(counters)
    return {name: values[at] for at, name in _KINDS.items() if values[at]}


def parse_qdiscs(datagram: bytes, drops: dict[int, int]) -> bool:
    """Add the drops of each interface's root queueing discipline to ``drops``; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """

    def add(body: tuple[int, ...], start: int, end: int) -> None:
        _, index, _, parent, _ = body
        found = netlink.attributes(datagram, start, end, {_TCA_STATS2})
        stats = found.get(_TCA_STATS2, b"")
        queue = netlink.attributes(stats, 0, len(stats), {_TCA_STATS_QUEUE}).get(_TCA_STATS_QUEUE, b"")
        if parent == _ROOT and len(queue) >= _QUEUE.size:
            (drops[index],) = _QUEUE.unpack_from(queue)

    return netlink.for_each(datagram, _NEWQDISC, _TCMSG, add)
