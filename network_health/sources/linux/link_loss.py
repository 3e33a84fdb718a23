"""Of what kind an interface's errors and drops are, from ``NETLINK_ROUTE``; see if_link.h, pkt_sched.h.

Laws: counts are lifetime totals by the kernel's own names. ``qdisc`` is what the queueing discipline
threw away before the interface saw it, which is in none of the interface's own counters.
"""

from __future__ import annotations

import struct

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError

Kinds = dict[str, int]

_NETLINK_ROUTE = 0
_NEWQDISC, _GETQDISC, _NEWSTATS, _GETSTATS = 36, 38, 92, 94
_IFLA_STATS_LINK_64 = 1
_STATS = struct.Struct("=BxxxII")  # if_stats_msg: family, index, filter
_TCMSG = struct.Struct("=BxxxiIII")  # family, interface index, handle, parent, info
_ROOT = 0xFFFFFFFF  # TC_H_ROOT
_TCA_STATS2, _TCA_STATS_QUEUE = 7, 3
_QUEUE = struct.Struct("=8xI")  # gnet_stats_queue: drops

#: rtnl_link_stats64, by the place of each counter.
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
_COUNTERS = struct.Struct("=21Q")


def read_loss_kinds() -> dict[int, Kinds]:
    """By index of the interface, how much was lost of each kind.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers cannot be read.
    """
    get_stats = netlink.dump_request(_GETSTATS, _STATS.pack(0, 0, 1 << _IFLA_STATS_LINK_64 - 1))
    get_qdiscs = netlink.dump_request(_GETQDISC, _TCMSG.pack(0, 0, 0, 0, 0))
    kinds = netlink.dump(_NETLINK_ROUTE, get_stats, dict[int, Kinds], parse_kinds)
    for index, drops in netlink.dump(_NETLINK_ROUTE, get_qdiscs, dict[int, int], parse_qdiscs).items():
        if drops and index in kinds:
            kinds[index]["qdisc"] = drops
    return kinds


def parse_kinds(datagram: bytes, kinds: dict[int, Kinds]) -> bool:
    """Add what is not 0 of each interface's counters in one datagram; True when the dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        if kind != _NEWSTATS or end - start < _STATS.size:
            raise KernelFormatError(f"rtnetlink: a message of kind {kind} and {end - start} bytes")
        _, index, _ = _STATS.unpack_from(datagram, start)
        found = netlink.attributes(datagram, start + _STATS.size, end, {_IFLA_STATS_LINK_64})
        counters = found.get(_IFLA_STATS_LINK_64, b"")
        if len(counters) < _COUNTERS.size:
            raise KernelFormatError(f"rtnetlink: {len(counters)} bytes of counters of interface {index}")
        values = _COUNTERS.unpack_from(counters)
        kinds[index] = {name: values[place] for place, name in _KINDS.items() if values[place]}
    return False


def parse_qdiscs(datagram: bytes, drops: dict[int, int]) -> bool:
    """Add the drops of each root in one datagram of a dump; True when the dump ends with it.

    Raises:
        OSError: the datagram says that the kernel refuses.
        KernelFormatError: it is not a datagram of such messages.
    """
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        if kind != _NEWQDISC or end - start < _TCMSG.size:
            raise KernelFormatError(f"rtnetlink: a message of kind {kind} and {end - start} bytes")
        _, index, _, parent, _ = _TCMSG.unpack_from(datagram, start)
        found = netlink.attributes(datagram, start + _TCMSG.size, end, {_TCA_STATS2})
        stats = found.get(_TCA_STATS2, b"")
        queue = netlink.attributes(stats, 0, len(stats), {_TCA_STATS_QUEUE}).get(_TCA_STATS_QUEUE, b"")
        if parent == _ROOT and len(queue) >= _QUEUE.size:
            (drops[index],) = _QUEUE.unpack_from(queue)
    return False
