"""Causes a breach of ``conn_threshold`` with loopback connections.

Guarantees: only child processes and 127.0.0.1 are used. The child processes end when their parent ends.
Every socket is closed by a reset, so no socket stays in TIME_WAIT.
"""

from __future__ import annotations

import resource
import socket
import struct
import subprocess
import sys

from network_health.swarm.errors import SwarmError, last_line

#: Descriptors that a process needs beside those of its connections.
_OTHER_DESCRIPTORS = 64
_MAX_PER_PROCESS = 10_000
_READY = "open\n"


class Breach:
    """A context manager that holds ``connections`` open loopback connections: two sockets each.

    Entering returns when all are open, and raises `SwarmError` when they cannot be opened.
    """

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._children: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Breach:
        try:
            for count in _split(self._connections):
                self._children.append(_start_child(count))
            for child in self._children:
                _await_ready(child)
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        for child in self._children:
            child.kill()
        for child in self._children:
            child.communicate()


def _split(connections: int) -> list[int]:
    """How many connections each process opens, so that none exceeds the hard limit of descriptors."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    room = _MAX_PER_PROCESS if hard == resource.RLIM_INFINITY else (hard - _OTHER_DESCRIPTORS) // 2
    if room < 1:
        raise SwarmError(f"this user may open only {hard} files at a time: raise it with `ulimit -Hn 4096`")
    most = min(room, _MAX_PER_PROCESS)
    full, rest = divmod(connections, most)
    return [most] * full + [rest] * (rest > 0)


def _start_child(connections: int) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - this module, run by this Python
        [sys.executable, "-m", __name__, str(connections)],
        stdin=subprocess.PIPE,  # the child ends at the end of this file, also when the parent was killed
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    )


def _await_ready(child: subprocess.Popen[str]) -> None:
    if child.stdout is None or child.stdout.readline() != _READY:
        reason = last_line(child.communicate()[1])
        raise SwarmError(f"the loopback connections could not be opened: {reason}")


def _hold(connections: int) -> None:
    """Open the connections, print `_READY`, and keep them open until stdin ends."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(2 * _MAX_PER_PROCESS + _OTHER_DESCRIPTORS, hard), hard))
    sockets: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        for _ in range(connections):
            client = socket.create_connection(listener.getsockname(), timeout=10)
            accepted, _address = listener.accept()
            for end in (client, accepted):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sockets.append(end)
    sys.stdout.write(_READY)
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    _hold(int(sys.argv[1]))
