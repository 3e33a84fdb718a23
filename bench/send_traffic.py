"""Sends a few MB per second over one loopback connection, until its standard input ends."""

from __future__ import annotations

import select
import socket
import sys

CHUNK = bytes(50_000)


def main() -> None:
    """Print ``ready`` and send."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver = server.accept()[0]
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.01)[0]:
        sender.sendall(CHUNK)
        receiver.recv(len(CHUNK), socket.MSG_WAITALL)


if __name__ == "__main__":
    main()
