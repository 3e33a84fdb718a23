"""The monitor on a real kernel, in network namespaces, compared with ``ip`` and ``ss``."""

import contextlib
import socket
import time
from collections import Counter

import pytest

from network_health import Monitor, Settings
from network_health.sources.readers import PORTABLE
from tests.netns import veth

pytestmark = pytest.mark.root

#: ``None`` is the default: the readers of this system, with attribution.
READERS = pytest.mark.parametrize("readers", [None, (PORTABLE,)], ids=["system", "psutil"])


def monitor_of(readers, **settings):
    return Monitor(Settings.from_mapping(settings), readers=readers)


def interface(report, name):
    (found,) = [i for i in report.metrics["interfaces"] if i["iface"] == name]
    return found


def kind(readers):
    """The kind of these drops, which attribution adds to the sentence."""
    return " (tx_dropped)" if readers is None else ""


def send(payload, count, to, pause_s=0.0):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(b"x" * payload, to)
            time.sleep(pause_s)


@READERS
def test_known_traffic_gives_its_rate(namespace, readers):
    """The rate of 1,500 datagrams is that of their bytes, within 5 %."""
    near, far = namespace(), namespace()
    veth(near, far)

    def watch():
        monitor = monitor_of(readers)
        send(1000, 1, ("10.77.0.2", 9))  # so that neighbour discovery is outside the window
        time.sleep(0.2)
        started = time.monotonic()  # a check reads the interfaces first
        monitor.check()
        send(1000, 1500, ("10.77.0.2", 9), 0.001)
        time.sleep(max(0.0, 2 - (time.monotonic() - started)))
        seconds = time.monotonic() - started
        return interface(monitor.check(), "va"), seconds

    seen, seconds = near.call(watch)
    mbps = 1500 * (1000 + 8 + 20 + 14) * 8 / seconds / 1e6
    assert seen["tx_rate_mbps"] == pytest.approx(mbps, rel=0.05)
    assert seen["ip"] == ["10.77.0.1"]


@READERS
def test_a_rate_above_its_limit_is_reported(namespace, readers):
    """Traffic above the limit is a finding that names interface, direction, rate and limit."""
    near, far = namespace(), namespace()
    veth(near, far)

    def watch():
        monitor = monitor_of(readers, tx_threshold_mbps=0.1)
        monitor.check()
        send(1000, 500, ("10.77.0.2", 9), 0.001)
        return monitor.check().as_content()

    content = near.call(watch)
    rate = next(i["tx_rate_mbps"] for i in content["metrics"]["interfaces"] if i["iface"] == "va")
    assert (content["status"], content["severity"]) == ("network_issue", "WARNING")
    assert content["details"].partition(" (")[0] == f"va outbound {rate} Mbps > 0.1 Mbps"


@READERS
def test_drops_are_reported_once_in_their_window(namespace, readers):
    """Drops, caused by a peer with a smaller MTU, are a finding in that window and not in the next."""
    near, far = namespace(), namespace()
    veth(near, far)
    far.ip("link", "set", "vb", "mtu", "600")

    def watch():
        monitor = monitor_of(readers)
        first = monitor.check()
        send(1000, 5, ("10.77.0.2", 9))
        time.sleep(0.2)
        return first.details, monitor.check().details, monitor.check().details

    first, second, third = near.call(watch)
    dropped = near.links()["va"]["stats64"]["tx"]["dropped"]
    assert dropped > 0
    assert first == "Network health within normal bounds."
    assert second == f"va errors: TX=0 RX=0 drops={dropped}{kind(readers)}"
    assert "errors" not in third


@READERS
def test_drops_before_the_first_check_are_reported_as_such(namespace, readers):
    """Drops from before the start of the monitor are reported once, as since boot."""
    near, far = namespace(), namespace()
    veth(near, far)
    far.ip("link", "set", "vb", "mtu", "600")

    def watch():
        send(1000, 5, ("10.77.0.2", 9))
        time.sleep(0.2)
        monitor = monitor_of(readers)
        return monitor.check().details, monitor.check().details

    first, second = near.call(watch)
    dropped = near.links()["va"]["stats64"]["tx"]["dropped"]
    assert first == f"va errors: TX=0 RX=0 drops={dropped} (since boot){kind(readers)}"
    assert "errors" not in second


@READERS
def test_a_link_that_is_down_is_reported_so(namespace, readers):
    """``up`` is true, and false after ``ip link set down``."""
    near, far = namespace(), namespace()
    veth(near, far)

    def is_up():
        return interface(monitor_of(readers).check(), "va")["up"]

    assert near.call(is_up) is True
    near.ip("link", "set", "va", "down")
    assert near.call(is_up) is False


@READERS
def test_an_interface_created_again_gives_no_rate(namespace, readers):
    """A new interface with the same name has no rate in that window, and ``counters_reset``."""
    near, far = namespace(), namespace()
    veth(near, far)

    def watch():
        send(1000, 50, ("10.77.0.2", 9))
        monitor = monitor_of(readers)
        time.sleep(0.2)
        near.ip("link", "del", "va")
        veth(near, far)
        return interface(monitor.check(), "va")

    seen = near.call(watch)
    assert (seen["tx_rate_mbps"], seen["rx_rate_mbps"], seen["counters_reset"]) == (0, 0, True)


def open_sockets(stack):
    """Open TCP and UDP sockets over IPv4 and IPv6 in LISTEN, ESTABLISHED, CLOSE_WAIT and TIME_WAIT."""
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        listener = stack.enter_context(socket.create_server((host, 0), family=family, backlog=64))
        for number in range(20):
            client = stack.enter_context(socket.create_connection(listener.getsockname()[:2]))
            server = stack.enter_context(listener.accept()[0])
            if number < 3:  # the side that closes first stays in TIME_WAIT
                client.close()
                server.close()
            elif number < 7:  # half closed: FIN_WAIT2 here, CLOSE_WAIT there
                client.shutdown(socket.SHUT_WR)
        for _ in range(5):
            stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)).bind((host, 0))


def states_of_ss(text):
    """The sockets of ``ss -Htuna`` by psutil's state names."""
    names = {"ESTAB": "ESTABLISHED", "LISTEN": "LISTEN", "TIME-WAIT": "TIME_WAIT", "CLOSE-WAIT": "CLOSE_WAIT"}
    names |= {"FIN-WAIT-2": "FIN_WAIT2", "FIN-WAIT-1": "FIN_WAIT1"}
    lines = [line.split() for line in text.splitlines()]
    return Counter("NONE" if kind == "udp" else names[state] for kind, state, *_ in lines)


@READERS
def test_sockets_have_the_counts_of_ss(namespace, readers):
    """Every socket of every kind is counted once, under its state."""
    host = namespace()

    def watch():
        with contextlib.ExitStack() as stack:
            open_sockets(stack)
            time.sleep(0.1)
            metrics = monitor_of(readers).check().metrics
            return metrics["by_status"], metrics["total_connections"], host.tool("ss", "-Htuna")

    by_status, total, ss = host.call(watch)
    expected = {"LISTEN": 2, "ESTABLISHED": 52, "TIME_WAIT": 6, "FIN_WAIT2": 8, "CLOSE_WAIT": 8, "NONE": 10}
    assert states_of_ss(ss) == expected
    assert by_status == expected
    assert total == sum(expected.values())


@READERS
def test_too_many_connections_are_reported(namespace, readers):
    """One connection more than the limit is a finding; the same number as the limit is not."""
    host = namespace()

    def watch(limit):
        with contextlib.ExitStack() as stack:
            for _ in range(30):
                stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)).bind(("127.0.0.1", 0))
            return monitor_of(readers, conn_threshold=limit).check().details

    assert host.call(watch, 29).partition(" (")[0] == "High connection count: 30 > 29"
    assert host.call(watch, 30) == "Network health within normal bounds."
