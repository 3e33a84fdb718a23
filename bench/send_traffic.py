"""Sends a few MB per second over one connection, until its standard input ends.

``python -m bench.send_traffic [PID ADDRESS]``: over loopback, or to an address in the network namespace of a
process. Both ends are sockets of this process.
"""

from __future__ import annotations

import os
import select
import socket
import sys

from network_health.sources import linux

CHUNK = bytes(50_000)
PORT = 9000


def main(*receiver: str) -> None:
    """Print ``ready`` and send."""
    if receiver:
        pid, address = int(receiver[0]), receiver[1]
        inode = os.stat(f"/proc/{pid}/ns/net").st_ino
        server = linux.call_in_namespace(pid, inode, lambda: socket.create_server((address, PORT)))
    else:
        server = socket.create_server(("127.0.0.1", 0))
    with server:
        sender = socket.create_connection(server.getsockname())
        accepted = server.accept()[0]
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        sender.sendall(CHUNK)
        accepted.recv(len(CHUNK), socket.MSG_WAITALL)


if __name__ == "__main__":
    main(*sys.argv[1:])
