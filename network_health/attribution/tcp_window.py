"""The bytes of the TCP sockets, from one listing to the next.

Law: what a socket moved is counted once, also when it is closed between two listings, as far as the
kernel tells; where that fails, the window says that it is not whole.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from network_health.attribution import process_traffic
from network_health.model import Socket, SocketTraffic
from network_health.sources.linux import ClosedSockets, read_tcp_bytes


@dataclass(frozen=True, slots=True)
class Window:
    """What the TCP sockets moved between two listings; ``listeners`` are those of the later one."""

    seconds: float
    moves: tuple[SocketTraffic, ...]
    listeners: tuple[Socket, ...]
    is_whole: bool


class TcpWindows:
    """Reads the network namespace of the calling thread.

    Raises:
        OSError: the kernel refuses.
    """

    def __init__(self) -> None:
        self._closed = ClosedSockets()
        self._at_s: float | None = None
        self._open: Mapping[int, bytes] = {}
        self._gone: dict[int, bytes] = {}

    def window(self, *, is_last: bool = False) -> Window:
        """What happened since the last call; at the first one nothing has. After the last one, `close`.

        Raises:
            OSError: the kernel refuses.
            KernelFormatError: what it answers cannot be read.
        """
        last_s, self._at_s = self._at_s, time.monotonic()
        here = read_tcp_bytes(None if last_s is None else self._open, is_last=is_last)
        closed, is_whole = self._closed.take()
        moves = (
            () if last_s is None else process_traffic.moved(self._open, self._gone, (*here.changed, *closed))
        )
        if not is_last:
            self._open, self._gone = (
                here.counters,
                process_traffic.remember(self._open, here.counters, closed),
            )
        return Window(self._at_s - (last_s or self._at_s), moves, tuple(here.listeners), is_whole)

    def close(self) -> None:
        """Stop listening."""
        self._closed.close()
