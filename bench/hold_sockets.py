"""Opens TCP connections over loopback: ``python -m bench.hold_sockets PAIRS PORT [half-closed]``.

Holds both ends. Prints ``ready`` when all are open, and keeps them and the listener open until it is killed.
"""

from __future__ import annotations

import resource
import signal
import socket
import sys


def hold(pairs: int, port: int, *, half_closed: bool) -> list[socket.socket]:
    """Open ``pairs`` connections to 127.0.0.1:``port``; half-closed ones are FIN_WAIT2 and CLOSE_WAIT."""
    limit, hard = 2 * pairs + 100, resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, max(limit, hard)))
    held = []
    with socket.create_server(("127.0.0.1", port), backlog=16) as server:
        held.append(server.dup())
        for _ in range(pairs):
            client = socket.create_connection(("127.0.0.1", port))
            accepted, _address = server.accept()
            if half_closed:
                client.shutdown(socket.SHUT_WR)
            held += [client, accepted]
    return held


if __name__ == "__main__":
    connections = hold(int(sys.argv[1]), int(sys.argv[2]), half_closed=sys.argv[3:] == ["half-closed"])
    print("ready", flush=True)
    signal.pause()
