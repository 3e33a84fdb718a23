"""The value types of what is known of a culprit: sockets, their owners, the bytes they moved.

Laws: those of `network_health.model.readings`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class SocketGroup(NamedTuple):
    """The sockets, of maybe 100,000, that differ in nothing that tells who is behind them.

    Addresses are packed, 4 bytes or 16. Connections that were accepted at a port, and sockets without a
    remote, have that port and no remote one; those that were opened have no local port. Of the ``sockets``,
    ``unheld`` are held by no process (any more, or yet); ``holders`` has the known ones by pid.
    """

    protocol: str
    state: str
    local: bytes
    local_port: int
    remote: bytes
    remote_port: int
    sockets: int = 1
    unheld: int = 0
    holders: Mapping[int, int] = {}

    @property
    def hidden(self) -> int:
        """Those that a process holds which is not known."""
        return self.sockets - self.unheld - sum(self.holders.values())


class Socket(NamedTuple):
    """One TCP socket, as the kernel lists it.

    Addresses are packed, 4 bytes or 16. ``inode`` is 0 for a socket that no process holds (any more, or
    yet). ``sent`` and ``received`` are bytes that were acknowledged, 0 where not asked for. Of a listener,
    ``waiting`` connections of at most ``backlog`` are not accepted yet, and ``drops`` were refused.
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


#: What is remembered of a socket from one listing to the next: bytes sent, bytes received, inode. Packed,
#: because there may be 100,000.
BYTE_COUNTER = struct.Struct("=QQI")


class Moved(NamedTuple):
    """The bytes of one socket's payload in a window."""

    socket: Socket
    sent: int
    received: int


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds a socket: a process, and the container or systemd unit that it runs in.

    Without the right to see the process, ``pid`` is ``None`` and ``user`` that of the socket.
    """

    pid: int | None
    name: str | None = None
    user: str | None = None
    container: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessTraffic:
    """What the TCP sockets of one process moved in a window; ``sockets`` are those that moved it."""

    pid: int
    sent: int
    received: int
    sockets: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """Bytes per process over ``seconds``, the most first.

    ``sent`` and ``received`` are all bytes that the interfaces carried, headers and other protocols too.
    """

    seconds: float
    processes: tuple[ProcessTraffic, ...]
    sent: int
    received: int
    unattributed_sockets: int = 0
    #: False where sockets came and went that nothing is known of.
    is_whole: bool = True

    @property
    def coverage_percent(self) -> float:
        """The share of all bytes whose process is known, one decimal; 0 where nothing moved."""
        known = sum(p.sent + p.received for p in self.processes)
        return round(known / ((self.sent + self.received) or 1) * 100, 1)


@dataclass(frozen=True, slots=True)
class Attribution:
    """What was found out about who is behind the findings of a check.

    ``evidence`` is plain and JSON-safe but for names, by check; ``owners`` has the processes by pid.
    ``failure`` says why nothing was.
    """

    evidence: Mapping[str, object] = field(default_factory=dict)
    traffic: Traffic | None = None
    owners: Mapping[int, Owner] = field(default_factory=dict)
    failure: str = ""
