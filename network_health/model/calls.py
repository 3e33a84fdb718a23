"""Defines the bytes that the calls of processes moved through sockets."""

from __future__ import annotations

from typing import NamedTuple


class CallTraffic(NamedTuple):
    """The payload bytes that one process sent or received by calls on sockets to one peer, in a window.

    ``pid`` is 0 if the process is not visible from this pid namespace; ``name`` is that of the thread.
    ``started`` is the start of the process in ticks since boot, modulo 2**32.
    ``namespace`` is the inode of the socket's network namespace. ``protocol`` is ``tcp``, ``udp``, ``icmp``,
    ``packet``, ``raw icmp``. Addresses are packed, empty if they are not set.
    ``device``, ``mark`` and ``uid`` are as in `Socket`.
    """

    pid: int
    name: str
    namespace: int
    protocol: str
    local: bytes
    remote: bytes
    remote_port: int
    device: int
    mark: int
    uid: int
    sent: int
    received: int
    calls: int
    started: int

    @property
    def is_copy(self) -> bool:
        """Whether other sockets may have received the same bytes."""
        return bool(self.received) and self.protocol.startswith(("packet", "raw "))
