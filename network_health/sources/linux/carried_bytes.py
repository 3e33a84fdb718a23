"""Reads the bytes that each interface carried, from ``NETLINK_ROUTE``; see if_link.h."""

from __future__ import annotations

import struct

from network_health.sources.linux import rtnetlink

_BYTES = struct.Struct("=16xQQ")  # rtnl_link_stats64: rx_bytes, tx_bytes


def read_carried_bytes() -> dict[int, tuple[int, int]]:
    """The bytes that each interface sent and received in its lifetime, by index.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    received_and_sent = (
        (index, _BYTES.unpack_from(stats)) for index, stats in rtnetlink.dump_stats().items()
    )
    return {index: (sent, received) for index, (received, sent) in received_and_sent}
