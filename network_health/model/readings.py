"""Defines the readings of the host, from the readers to the report.

Guarantees: values are immutable. ``None`` is unknown, ``0`` is measured. ``at_s`` is in `time.monotonic`
seconds.
"""

# `Counters` and `Interface` are created for every interface in every check. They are named tuples because a
# frozen dataclass takes four times as long to create.

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

#: The index of an interface, or its name; see `Link.key`.
LinkKey = int | str


class Counters(NamedTuple):
    """The kernel's lifetime counters of one interface.

    ``rx_drops`` is rx_dropped + rx_missed, the same as in ``/proc/net/dev`` and psutil. ``rx_missed`` is the
    part of it that the device lost; 0 if that is unknown.
    """

    tx_bytes: int = 0
    rx_bytes: int = 0
    tx_packets: int = 0
    rx_packets: int = 0
    tx_errors: int = 0
    rx_errors: int = 0
    tx_drops: int = 0
    rx_drops: int = 0
    rx_missed: int = 0

    @property
    def drops(self) -> int:
        """Packets dropped, sent and received."""
        return self.tx_drops + self.rx_drops

    @property
    def packets(self) -> int:
        """Packets sent and received."""
        return self.tx_packets + self.rx_packets


@dataclass(frozen=True, slots=True)
class Link:
    """One interface at one moment.

    ``kind`` is the kernel's link kind (``veth``, ``bridge``, ``vlan``, ``bond``, …). It is ``""`` for
    physical interfaces and loopback, and ``None`` if it cannot be read. ``rx_nohandler`` is the number of
    frames that arrived at the inactive port of a bond or team and that no handler took. ``admin_up`` is
    whether an administrator has set the interface up, with or without a carrier.

    ``master`` is the index of the bridge, bond, team or VRF that the interface is a port of. ``lower`` is the
    index of the interface that carries its packets again, in the same network namespace, as that of a vlan.
    With ``delivers_to_siblings`` packets for another interface on the same ``lower`` do not reach ``lower``.
    ``active_port`` is the only port of a bond that carries packets. ``tunnel`` has the local and the remote
    address of a tunnel, packed; an address that is not set is empty. ``hardware_address`` is the MAC address.
    ``peer_namespace`` is the kernel's id of the network namespace that has the other end of a veth, and
    ``peer_index`` the index that this end has there. ``lower_elsewhere`` is the lower interface that is in
    another network namespace, as that of a macvlan in a container: the kernel's id of it, and the index.
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
    rx_nohandler: int | None = None
    master: int | None = None
    lower: int | None = None
    delivers_to_siblings: bool = False
    active_port: int | None = None
    tunnel: tuple[bytes, bytes] | None = None
    hardware_address: bytes = b""
    peer_namespace: int | None = None
    peer_index: int | None = None
    lower_elsewhere: tuple[int, int] | None = None
    admin_up: bool | None = None

    @property
    def key(self) -> LinkKey:
        """Identifies the interface as long as it exists: its index, or its name if the index is unknown."""
        return self.name if self.index is None else self.index


class WentBack(NamedTuple):
    """The counters of an interface before some of them went back, and the time of the reading that saw it."""

    highest: Counters
    at_s: float


@dataclass(frozen=True, slots=True)
class LinkReading:
    """All interfaces at one moment.

    ``announced`` has, by index, the counters with which the kernel announced an interface that was added
    after the first reading: 0 if it was created, more if it came from another network namespace.
    ``went_back`` has the interfaces with counters that went back and have not moved since. The counters were
    read between ``at_s`` and ``until_s``; ``None`` if their reading took no time.
    """

    at_s: float
    links: tuple[Link, ...]
    announced: Mapping[int, Counters] = field(default_factory=dict)
    went_back: Mapping[LinkKey, WentBack] = field(default_factory=dict)
    until_s: float | None = None


@dataclass(frozen=True, slots=True)
class CounterReading:
    """The counters of all interfaces, read between ``at_s`` and ``until_s``; ``went_back`` as above."""

    at_s: float
    until_s: float
    counters: Mapping[LinkKey, Counters]
    went_back: Mapping[LinkKey, WentBack] = field(default_factory=dict)


class Baseline(NamedTuple):
    """What the next counters of an interface are compared with; ``highest`` is that of `WentBack`."""

    counters: Counters
    highest: Counters | None = None


class Interface(NamedTuple):
    """A link, with its rates and new errors since the previous check.

    A rate or a count is ``None`` if it is unknown: without an earlier sample, or if its counter went back.
    With ``since_boot`` the ``new_*`` counts start at the creation of the interface. ``window_s`` is the time
    in which they were counted; ``None`` if it is unknown. ``new_rx_missed`` is a part of ``new_rx_drops``.
    The peaks are the rates of the highest second since the previous check.
    """

    link: Link
    tx_mbps: float | None = None
    rx_mbps: float | None = None
    new_tx_errors: int | None = 0
    new_rx_errors: int | None = 0
    new_tx_drops: int | None = 0
    new_rx_drops: int | None = 0
    new_rx_missed: int | None = 0
    new_tx_packets: int | None = 0
    new_rx_packets: int | None = 0
    counters_reset: bool = False
    since_boot: bool = False
    window_s: float | None = None
    tx_peak_mbps: float | None = None
    rx_peak_mbps: float | None = None

    @property
    def new_drops(self) -> int | None:
        """The sum of both directions. If one is unknown: the other, or ``None`` if that is 0."""
        sent, received = self.new_tx_drops, self.new_rx_drops
        return sent or received or None if sent is None or received is None else sent + received

    @property
    def new_rx_dropped(self) -> int | None:
        """Frames that the driver or the kernel's network stack dropped; unwanted frames are among them."""
        drops, missed = self.new_rx_drops, self.new_rx_missed
        return None if drops is None or missed is None else max(drops - missed, 0)


@dataclass(frozen=True, slots=True)
class Connections:
    """Sockets by state, with psutil's names: ``{"ESTABLISHED": 12, "NONE": 3}``; UDP is ``NONE``."""

    by_status: Mapping[str, int]

    @property
    def total(self) -> int:
        """The number of sockets in all states."""
        return sum(self.by_status.values())


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """The values that are read for every process.

    ``started`` distinguishes two processes that had the same pid. Its unit depends on the reader.
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
    """The values that are read only for the listed processes; ``None`` where the kernel denies access."""

    name: str | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    user: str | None = None
    command: str | None = None


@dataclass(frozen=True, slots=True)
class RankedProcess:
    """A process with its CPU use since the previous check, in percent of one CPU."""

    sample: ProcessSample
    cpu_percent: float | None
    details: ProcessDetails = field(default_factory=ProcessDetails)
