"""Reads what each interface carried, from ``NETLINK_ROUTE``; see if_link.h."""

from __future__ import annotations

import struct

from network_health.sources.linux import rtnetlink

_COUNTERS = struct.Struct("=QQQQ")  # rtnl_link_stats64: rx_packets, tx_packets, rx_bytes, tx_bytes

#: What each interface sent and received, by index.
Carried = dict[int, tuple[int, int]]


def read_carried() -> tuple[Carried, Carried]:
    """The bytes of each interface in its lifetime, and the packets.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    octets, packets = Carried(), Carried()
    for index, stats in rtnetlink.dump_stats().items():
        rx_packets, tx_packets, rx_bytes, tx_bytes = _COUNTERS.unpack_from(stats)
        octets[index], packets[index] = (tx_bytes, rx_bytes), (tx_packets, rx_packets)
    return octets, packets
