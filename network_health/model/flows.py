"""Defines the flows that the kernel tracks, and the bytes that they carried."""

from __future__ import annotations

from typing import NamedTuple


class FlowTuple(NamedTuple):
    """Packed addresses and ports of the packets of one direction; without ports these are 0."""

    source: bytes
    destination: bytes
    source_port: int = 0
    port: int = 0


class TrackedFlow(NamedTuple):
    """One entry of the connection tracking table, with what it carried in a window.

    ``original`` are packets as the sender of the first one made them, ``reply`` the answers as they arrive.
    So the source of ``reply`` is the destination after translation (DNAT), and its destination the source
    after translation (SNAT). ``protocol`` is that of the IP header. ``sent`` and ``received`` are bytes of IP
    packets in the direction of ``original`` and of ``reply``; ``packets`` are those of both.

    Packets of an ``is_offloaded`` flow pass the host without being counted as forwarded. A packet may have an
    entry in each ``zone`` that it passes.
    """

    original: FlowTuple
    reply: FlowTuple
    protocol: int
    sent: int
    received: int
    packets: int
    zone: int = 0
    is_offloaded: bool = False
