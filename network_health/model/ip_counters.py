"""Defines the counters of the Internet protocols of one network namespace."""

from __future__ import annotations

from typing import NamedTuple


class IpCounters(NamedTuple):
    """What the host itself sent and received, IPv4 and IPv6 together; in a lifetime, or in a window.

    Each pair is sent, received. ``octets`` are bytes of IP packets, ``multicast_octets`` those sent to
    several hosts, also to this one. ``datagrams`` are those of UDP, also the ones that no socket took.
    ``segments`` are those of TCP: received ones count once for all that the kernel merged. ``forwarded`` are
    packets for other hosts; they are a part of ``octets``. ``undelivered`` are received packets that no
    protocol got: filtered, not for this host. ``aborted`` are TCP connections whose byte counts are lost.
    ``packets`` are those of all protocols, before they are divided and after they were merged.
    """

    octets: tuple[int, int]
    multicast_octets: int
    datagrams: tuple[int, int]
    icmp_messages: tuple[int, int]
    segments: tuple[int, int]
    forwarded: int
    undelivered: int
    aborted: int
    packets: tuple[int, int] = (0, 0)
