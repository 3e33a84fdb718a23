"""Causes activity on the host between two readings.

Without it, a program that remembers the previous reading would look faster than on a real host. Before each
run, some processes take a page of memory, and every interface except loopback sends a packet.
"""

from __future__ import annotations

import os
import signal
import socket
import time

GROUP = "BENCH_ACTIVITY_GROUP"
INTERFACES = "BENCH_ACTIVITY_INTERFACES"


def cause_activity() -> None:
    """Cause the activity that the load has requested in the environment."""
    if GROUP in os.environ:
        os.killpg(int(os.environ[GROUP]), signal.SIGUSR1)
        time.sleep(0.1)  # lets all processes handle the signal
    if INTERFACES in os.environ:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            for _, name in socket.if_nameindex():
                if name != "lo":
                    sender.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, name.encode())
                    sender.sendto(b"activity", ("255.255.255.255", 9))
