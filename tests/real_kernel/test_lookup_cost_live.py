"""What a check of an active alert reads on a real kernel, with more sockets than are listed in each check."""

import socket
import struct
import threading
import time

import pytest

from network_health import Monitor, Settings
from network_health.attribution import kept_answers
from network_health.attribution.sampling import FEW_SOCKETS
from network_health.sources.linux import inet_diag

pytestmark = pytest.mark.root

#: The length of the netlink header, and where an inet_diag_req has the states.
_BODY, _STATES = 16, struct.Struct("=52xI")
_ESTABLISHED = 1 << 1


def lists_all_tcp_sockets(request):
    """Whether a request for a dump includes established connections."""
    (kind,) = struct.unpack_from("=4xH", request)
    return kind == inet_diag.TCP_OF_BOTH_FAMILIES and bool(
        _STATES.unpack_from(request, _BODY)[0] & _ESTABLISHED
    )


def alerts_with_many_sockets():
    """By check: the alerts with a culprit, the listings of all sockets, and the seconds it took."""
    limits = {"conn_threshold": 50, "tx_threshold_mbps": 1, "rx_threshold_mbps": 1}
    listings, seen, is_over = [], [], threading.Event()
    dump = inet_diag.dump

    def recorded(request, *more):
        listings.append(lists_all_tcp_sockets(request))
        return dump(request, *more)

    inet_diag.dump = recorded
    kept_answers._CHANGE = 1000  # the rate of the sender differs from check to check
    with socket.create_server(("127.0.0.1", 8123), backlog=16) as server:
        held = []
        for _ in range(FEW_SOCKETS // 2 + 1):
            held.append((socket.create_connection(server.getsockname()), server.accept()[0]))
        threading.Thread(target=send, args=(*held[0], is_over)).start()
        monitor = Monitor(Settings.from_mapping(limits))
        for _ in range(4):
            time.sleep(0.3)
            listings.clear()
            began = time.monotonic()
            culprits = monitor.check().metrics["culprits"]
            seen.append((sorted(culprits), sum(listings), time.monotonic() - began))
        is_over.set()
    return seen


def send(client, accepted, is_over):
    """Send 10 MB per second."""
    while not is_over.wait(0.01):
        client.sendall(bytes(100_000))
        left = 100_000
        while left:
            left -= len(accepted.recv(left))


def test_between_two_lookups_no_socket_is_listed(namespace):
    """Alerts about connections and rates list all sockets and take a sample at their first check only."""
    (first, *others) = namespace().call(alerts_with_many_sockets)
    checks = ["connections", "rx_rate", "tx_rate"]
    assert first[:2] == (checks, 3)  # for connections, and twice for the sample
    assert [each[:2] for each in others] == [(checks, 0)] * 3
    assert (first[2] > 1, max(seconds for *_, seconds in others) < 1) == (True, True)
