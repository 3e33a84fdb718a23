"""The value types that flow from the readers to the report.

Laws: immutable and slotted, standard library only, no behaviour beyond small properties. ``None`` is
unknown, ``0`` is measured. Times called ``at_s`` are `time.monotonic` seconds unless said otherwise.
What is made anew for every interface in every check is a tuple: that takes a quarter of the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Counters(NamedTuple):
    """Lifetime counters of one interface, as the kernel keeps them.

    ``rx_drops`` is rx_dropped + rx_missed, as ``/proc/net/dev`` and psutil count it.
    """

    tx_bytes: int = 0
    rx_bytes: int = 0
    tx_packets: int = 0
    rx_packets: int = 0
    tx_errors: int = 0
    rx_errors: int = 0
    tx_drops: int = 0
    rx_drops: int = 0

    @property
    def drops(self) -> int:
        """Packets dropped in either direction."""
        return self.tx_drops + self.rx_drops

    @property
    def packets(self) -> int:
        """Packets carried in either direction."""
        return self.tx_packets + self.rx_packets


@dataclass(frozen=True, slots=True)
class Link:
    """One interface at one moment.

    ``kind`` is the kernel's link kind (``veth``, ``bridge``, ``vlan``, ``bond``, …), ``""`` for an
    interface that has none (a physical one, or loopback), ``None`` where it cannot be read.
    """

    name: str
    up: bool
    index: int | None = None
    speed_mbps: int | None = None
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    counters: Counters | None = None
    mtu: int | None = None
    kind: str | None = None
    operstate: str | None = None
    carrier_changes: int | None = None


@dataclass(frozen=True, slots=True)
class LinkReading:
    """All interfaces at one moment."""

    at_s: float
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class ErrorCounters:
    """Error counters of one interface up to which everything has been reported."""

    index: int | None
    tx_errors: int
    rx_errors: int
    drops: int
    packets: int


class Interface(NamedTuple):
    """A link, with what happened on it since the check before.

    Rates are ``None`` where no earlier sample or a counter reset leaves nothing to compare with.
    ``since_boot`` says that the ``new_*`` counts run from the interface's creation.
    """

    link: Link
    tx_mbps: float | None = None
    rx_mbps: float | None = None
    new_tx_errors: int = 0
    new_rx_errors: int = 0
    new_drops: int = 0
    new_packets: int = 0
    counters_reset: bool = False
    since_boot: bool = False


@dataclass(frozen=True, slots=True)
class Connections:
    """Sockets by state, under psutil's names: ``{"ESTABLISHED": 12, "NONE": 3}``; UDP is ``NONE``."""

    by_status: Mapping[str, int]

    @property
    def total(self) -> int:
        """All sockets counted."""
        return sum(self.by_status.values())


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """What one cheap read tells of a process.

    ``started`` only has to tell two users of one pid apart: its unit is the reader's own.
    """

    pid: int
    name: str
    started: float
    cpu_s: float | None
    rss_bytes: int | None


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """All processes at one moment."""

    at_s: float
    processes: tuple[ProcessSample, ...]


@dataclass(frozen=True, slots=True)
class ProcessDetails:
    """What is read only of the processes that make the list; ``None`` where the kernel refuses."""

    name: str | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    user: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class RankedProcess:
    """A process with its CPU share of the window, in percent of one CPU."""

    sample: ProcessSample
    cpu_percent: float | None
    details: ProcessDetails = field(default_factory=ProcessDetails)


@dataclass(frozen=True, slots=True)
class Share:
    """How much of a limited resource is in use; ``limit`` is above 0."""

    used: int
    limit: int

    @property
    def percent(self) -> float:
        """The share in use, two decimals; above 100 where the kernel lets a limit be passed."""
        return round(self.used / self.limit * 100, 2)


@dataclass(frozen=True, slots=True)
class PortUse:
    """Ephemeral ports of one local address that are taken towards one remote address and port."""

    local: str
    remote: str
    remote_port: int
    ports: Share


@dataclass(frozen=True, slots=True)
class ProtocolCounters:
    """Lifetime counters of the protocols; ``None`` where this kernel has no such counter.

    UDP counts are those of UDP and UDP-Lite, IPv4 and IPv6.
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
    """Lifetime counters of one CPU's receive work."""

    dropped: int
    squeezed: int


@dataclass(frozen=True, slots=True)
class ProtocolReading:
    """The protocols at one moment. ``softnet`` is per CPU number, of those online.

    A `Share` is ``None`` where the resource does not exist here; ``busiest_ports`` also when it was
    not asked for or no ephemeral port is in use.
    """

    at_s: float
    counters: ProtocolCounters
    softnet: Mapping[int, SoftnetCounters] = field(default_factory=dict)
    conntrack: Share | None = None
    orphans: Share | None = None
    tcp_memory: Share | None = None
    busiest_ports: PortUse | None = None


@dataclass(frozen=True, slots=True)
class Protocols:
    """What happened to the protocols since the check before, per second, and what is in use now.

    A rate is ``None`` where nothing earlier is known or a counter went back. ``retransmit_percent`` is
    the share of TCP segments sent again, ``None`` also when too few were sent to tell.
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
