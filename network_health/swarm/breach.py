"""A breach of ``conn_threshold`` that is real, bounded, and gone at once: loopback connections.

Laws: only own processes and 127.0.0.1; the processes end with their parent, however that ends; every
socket is closed by a reset, so that none lingers in TIME_WAIT and keeps the count up.
"""

from __future__ import annotations

import resource
import socket
import struct
import subprocess
import sys
from types import TracebackType
from typing import IO

from network_health.swarm.errors import SwarmError

#: Descriptors that a process needs for everything but its connections.
_SPARE_DESCRIPTORS = 64
_MOST_PER_PROCESS = 10_000
_READY = "open\n"


class Breach:
    """``connections`` open loopback connections (twice as many sockets) while the context lasts.

    Entering returns when all are open and raises `SwarmError` when they cannot be.
    """

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._holders: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Breach:
        try:
            for share in _shares(self._connections):
                self._holders.append(_holder(share))
            for holder in self._holders:
                _await_ready(holder)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def _close(self) -> None:
        for holder in self._holders:
            holder.kill()
        for holder in self._holders:
            holder.communicate()


def _shares(connections: int) -> list[int]:
    """How many connections each process holds: no process may have more descriptors than the hard limit."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = _MOST_PER_PROCESS if hard == resource.RLIM_INFINITY else (hard - _SPARE_DESCRIPTORS) // 2
    if room < 1:
        raise SwarmError(f"this user may open only {hard} files at a time: raise it with `ulimit -Hn 4096`")
    most = min(room, _MOST_PER_PROCESS)
    full, rest = divmod(connections, most)
    return [most] * full + [rest] * (rest > 0)


def _holder(connections: int) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this very module, run by this very Python
        [sys.executable, "-m", __name__, str(connections)],
        stdin=subprocess.PIPE,  # its end of file tells the process that its parent is gone
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def _await_ready(holder: subprocess.Popen[str]) -> None:
    stdout: IO[str] | None = holder.stdout
    if stdout is None or stdout.readline() != _READY:
        complaints = holder.communicate()[1].strip().splitlines()[-1:] or ["it said nothing"]
        raise SwarmError(f"the loopback connections could not be opened: {complaints[0]}")


def _hold(connections: int) -> None:
    """Open the connections, say so on stdout, and hold them until stdin ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * _MOST_PER_PROCESS + _SPARE_DESCRIPTORS, hard), hard))
    kept: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(connections):
            near = socket.create_connection(listener.getsockname(), timeout=10)
            far, _address = listener.accept()
            for end in (near, far):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                kept.append(end)
    sys.stdout.write(_READY)
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _hold(int(sys.argv[1]))
