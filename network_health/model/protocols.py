"""Defines the protocol metrics, from the kernel's counters to the report.

Guarantees: as in `network_health.model.readings`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from network_health.model.ip_counters import IpCounters


@dataclass(frozen=True, slots=True)
class Share:
    """The use of a limited resource; ``limit`` is above 0."""

    used: int
    limit: int

    @property
    def percent(self) -> float:
        """The used share, two decimals. It can exceed 100: the kernel does not enforce every limit."""
        return round(self.used / self.limit * 100, 2)


@dataclass(frozen=True, slots=True)
class PortUse:
    """The ephemeral ports of one local address that are in use for one remote address and port."""

    local: str
    remote: str
    remote_port: int
    ports: Share


@dataclass(frozen=True, slots=True)
class ProtocolCounters:
    """Lifetime counters of the protocols; ``None`` if the kernel has no such counter.

    The UDP counters are the sum of UDP and UDP-Lite, over IPv4 and IPv6.
    """

    out_segments: int | None = None
    retransmitted_segments: int | None = None
    listen_overflows: int | None = None
    listen_drops: int | None = None
    syn_cookies_sent: int | None = None
    syn_queue_full_cookies: int | None = None
    syn_queue_full_drops: int | None = None
    udp_receive_buffer_errors: int | None = None
    udp_send_buffer_errors: int | None = None


@dataclass(frozen=True, slots=True)
class SoftnetCounters:
    """Lifetime counters of one CPU's receive processing."""

    dropped: int
    squeezed: int


@dataclass(frozen=True, slots=True)
class ProtocolReading:
    """The protocols at one moment. ``softnet`` has the online CPUs, by CPU number.

    A `Share` is ``None`` if the resource does not exist here. ``busiest_ports`` is ``None`` also if it was
    not requested, and if no ephemeral port is in use. ``ip`` is ``None`` if the kernel does not count it.
    Without ``has_limits`` the kernel's limits could not be read, and no `Share` is known.
    """

    at_s: float
    counters: ProtocolCounters
    softnet: Mapping[int, SoftnetCounters] = field(default_factory=dict)
    conntrack: Share | None = None
    orphans: Share | None = None
    tcp_memory: Share | None = None
    busiest_ports: PortUse | None = None
    ip: IpCounters | None = None
    has_limits: bool = True


@dataclass(frozen=True, slots=True)
class Protocols:
    """The rates of the protocols since the previous check, per second, and the resources in use now.

    A rate is ``None`` without an earlier reading and after a counter reset. ``retransmit_percent`` is the
    share of TCP segments that were sent again. It is ``None`` also if too few segments were sent. The
    counts by CPU, and ``ip``, are those since the previous check. ``window_s`` is the time that they cover.
    ``has_limits`` is that of the reading.
    """

    out_segments_per_sec: float | None = None
    retransmit_percent: float | None = None
    listen_overflows_per_sec: float | None = None
    listen_drops_per_sec: float | None = None
    syn_cookies_sent_per_sec: float | None = None
    syn_queue_full_cookies_per_sec: float | None = None
    syn_queue_full_drops_per_sec: float | None = None
    udp_receive_buffer_errors_per_sec: float | None = None
    udp_send_buffer_errors_per_sec: float | None = None
    softnet_dropped_per_sec: float | None = None
    softnet_squeezed_per_sec: float | None = None
    conntrack: Share | None = None
    orphans: Share | None = None
    tcp_memory: Share | None = None
    busiest_ports: PortUse | None = None
    softnet_dropped_by_cpu: Mapping[int, int] = field(default_factory=dict)
    softnet_squeezed_by_cpu: Mapping[int, int] = field(default_factory=dict)
    window_s: float | None = None
    ip: IpCounters | None = None
    has_limits: bool = True
