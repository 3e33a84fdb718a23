"""What happens on a host between two readings, so that no contender is flattered by what it remembers.

Before each run of a contender, some processes take a page of memory, and every interface but loopback sends
a packet.
"""

from __future__ import annotations

import os
import signal
import socket
import time

GROUP = "BENCH_STIR_GROUP"
INTERFACES = "BENCH_STIR_INTERFACES"


def stir() -> None:
    """Do what the environment, which the load has set, asks for."""
    if GROUP in os.environ:
        os.killpg(int(os.environ[GROUP]), signal.SIGUSR1)
        time.sleep(0.1)  # until they have run
    if INTERFACES in os.environ:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for _, name in socket.if_nameindex():
                if name != "lo":
                    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
                    sender.sendto(b"stir", ("255.255.255.255", 9))
