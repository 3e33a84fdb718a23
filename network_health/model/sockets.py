"""Defines sockets, their owners and the bytes that they carried."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

#: Of the processes that share one socket, at most this number is known.
MAX_HOLDERS = 8
#: Larger than any pid; the last of `Holders` if a socket may also belong to a process that is not known.
ANOTHER_PROCESS = 1 << 31
#: The pids of the processes that have a socket open, the most likely user first. Empty: they have ended.
Holders = tuple[int, ...]


class SocketGroup(NamedTuple):
    """The number of sockets that have protocol, state, addresses and one port in common.

    Addresses are packed, 4 or 16 bytes. Accepted connections, and sockets without a remote address, have
    ``local_port`` and a ``remote_port`` of 0. Outgoing connections have ``remote_port`` and a ``local_port``
    of 0. ``without_owner`` is the number of sockets that no process has open. ``owners`` is the number of
    sockets by their holders, of the processes that are known.
    """

    protocol: str
    state: str
    local: bytes
    local_port: int
    remote: bytes
    remote_port: int
    sockets: int = 1
    without_owner: int = 0
    owners: Mapping[Holders, int] = {}

    @property
    def owner_unknown(self) -> int:
        """The number of sockets whose process exists but is not known."""
        return self.sockets - self.without_owner - sum(self.owners.values())


class Socket(NamedTuple):
    """One TCP socket, as the kernel lists it.

    Addresses are packed, 4 or 16 bytes. ``inode`` is 0 if no process has the socket open. ``sent`` and
    ``received`` are acknowledged bytes, 0 if they were not requested. For a listener, ``waiting`` is the
    number of connections that are not accepted yet, ``backlog`` their maximum, and ``drops`` the number of
    refused connections. ``device`` is the index of the interface that the socket is bound to, else 0.
    ``mark`` is its firewall mark, ``None`` if the kernel does not send it (without CAP_NET_ADMIN). ``resent``
    is the number of segments that it sent again in its lifetime, ``resent_bytes`` the payload in them.
    """

    state: str
    local: bytes
    local_port: int
    remote: bytes
    remote_port: int
    inode: int
    cookie: int
    sent: int = 0
    received: int = 0
    waiting: int = 0
    backlog: int = 0
    drops: int = 0
    device: int = 0
    mark: int | None = None
    uid: int = 0
    resent: int = 0
    resent_bytes: int = 0


class UdpSocket(NamedTuple):
    """One UDP socket that lost datagrams, or whose send buffer is filled.

    ``drops`` is the number of datagrams that it lost in its lifetime. ``queued`` and ``send_limit`` are the
    bytes that wait to be sent, and their maximum. ``remote_port`` is 0 if it is not connected.
    """

    local: bytes
    local_port: int
    remote: bytes
    remote_port: int
    inode: int
    cookie: int
    drops: int
    queued: int
    send_limit: int


class HalfOpen(NamedTuple):
    """The half-open connections of one local port, and the number by remote address."""

    port: int
    connections: int
    addresses: Mapping[bytes, int]


#: The byte counter of a socket, kept from one listing to the next: bytes sent, bytes received, inode. Packed,
#: because there can be 100,000 sockets.
BYTE_COUNTER = struct.Struct("=QQI")


#: The same for a socket that sent segments again: `Socket.resent`, `Socket.resent_bytes`, inode.
RESENT_COUNTER = struct.Struct("=IQI")


class SocketResent(NamedTuple):
    """The segments that one socket sent again in a window, and the payload in them."""

    socket: Socket
    segments: int
    octets: int


class SocketTraffic(NamedTuple):
    """The payload bytes of one socket in a window."""

    socket: Socket
    sent: int
    received: int
    protocol: str = "tcp"


@dataclass(frozen=True, slots=True)
class Owner:
    """The process that has a socket open, and its container or systemd unit; ``None`` is unknown.

    A process without a pid and a name has ended. ``shared_with`` are other processes that have the same
    sockets open: any of them may use them. ``namespace`` is the label of its network namespace, if that is
    not the host's and its sockets were read.
    """

    pid: int | None
    name: str | None = None
    user: str | None = None
    container: str | None = None
    unit: str | None = None
    shared_with: tuple[Owner, ...] = ()
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessTraffic:
    """The bytes that the sockets of one process carried in a window; ``sockets`` is their number.

    The processes ``shared_with`` have some of these sockets open, too. ``protocol`` has most of the bytes.
    """

    pid: int
    sent: int
    received: int
    sockets: int
    shared_with: tuple[int, ...] = ()
    protocol: str = "tcp"


class TrafficPart(NamedTuple):
    """At least so many bytes without a known process are of one kind.

    ``kind`` is ``tcp``, ``resent``, ``not_tcp``, ``headers``, ``forwarded`` or ``other_namespaces``.
    """

    kind: str
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """The bytes of each process in a window of ``seconds``, the largest first.

    ``sent`` and ``received`` are all bytes of the interfaces, with headers and other protocols. ``tcp`` are
    the bytes that all TCP sockets sent and received. ``unattributed_parts`` is what is known about the bytes
    whose process is not. ``is_whole`` is false if the kernel lost messages about closed sockets.
    """

    seconds: float
    processes: tuple[ProcessTraffic, ...]
    sent: int
    received: int
    unattributed_sockets: int = 0
    is_whole: bool = True
    tcp: tuple[int, int] | None = None
    unattributed_parts: tuple[TrafficPart, ...] = ()

    @property
    def coverage_percent(self) -> float:
        """The share of all bytes whose process is known, one decimal; 0 without traffic."""
        known = sum(p.sent + p.received for p in self.processes)
        return round(known / ((self.sent + self.received) or 1) * 100, 1)


@dataclass(frozen=True, slots=True)
class Attribution:
    """The culprits of a check's findings.

    ``evidence`` is by check, of plain types; its texts may hold surrogate escapes. ``owners`` has the
    processes by pid. ``failure`` is the reason why culprits are missing. ``peer_retransmit_percent`` is the
    largest share of bytes that were sent again to one remote address; ``None`` if it was not read.
    """

    evidence: Mapping[str, object] = field(default_factory=dict)
    traffic: Traffic | None = None
    owners: Mapping[int, Owner] = field(default_factory=dict)
    failure: str = ""
    peer_retransmit_percent: float | None = None
