"""The windows in which bytes are counted, on a real kernel."""

import contextlib
import socket
import time

import pytest

from network_health.attribution.traffic_window import TrafficWindows

pytestmark = pytest.mark.root


def connection():
    """Both ends of a new connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return socket.create_connection(server.getsockname()), server.accept()[0]


def move(ends, octets):
    ends[0].sendall(bytes(octets))
    assert len(ends[1].recv(octets, socket.MSG_WAITALL)) == octets


def test_a_socket_that_is_reported_late(namespace):
    """One that was closed before the window has no bytes in it; one that was open in it has."""

    def run():
        with contextlib.closing(TrafficWindows()) as windows:
            before, lasting = connection(), connection()
            move(before, 5000)
            move(lasting, 300)
            time.sleep(0.1)
            for end in before:
                end.close()
            take = windows._closed.take
            windows._closed.take = lambda *args, **more: ([], True)  # nothing has arrived yet
            windows.read()
            windows._closed.take = take
            within = connection()
            move(within, 700)
            move(lasting, 40)
            for end in within:
                end.close()
            time.sleep(0.05)
            traffic, deadline_s = (), time.monotonic() + 60
            while len(traffic) < 3 and time.monotonic() < deadline_s:
                traffic += windows.read().traffic
            return sorted(each.received for each in traffic if each.received > 1)  # a FIN counts as one

    assert namespace().call(run) == [40, 701]
