"""The culprit of an alert, or the route of its bytes, changes between two checks, on a real kernel."""

import time

import pytest

from tests.netns import veth
from tests.scenarios.worker import Worker

pytestmark = pytest.mark.root

LIMITS = {"conn_threshold": 10**6, "tx_threshold_mbps": 1, "rx_threshold_mbps": 1e6}


@pytest.fixture
def workers(namespace):
    """A monitor, a server and two clients in one namespace; they end with the test."""
    host = namespace()
    started = [Worker(name) for name in ("monitor", "server", "one", "two")]
    for each in started:
        each.run("enter", host)
    yield started
    for each in started:
        each.end()


def connect(server, client, port, count):
    server.run("listen", "127.0.0.1", port, 1024)
    client.start("connect", [(None, "127.0.0.1", port)] * count)
    server.run("accept", count)
    client.result()


def test_a_rate_has_the_culprit_of_this_check(workers):
    """Another process sends as much in the next check: it is named, as in the list of all processes."""
    monitor, server, *clients = workers
    for position, client in enumerate(clients):
        connect(server, client, 8001 + position, 1)
    monitor.run("start_monitor", LIMITS)
    for position, client in enumerate(clients):
        started_s = time.monotonic()
        client.start("send", 2_000_000)
        server.run("receive", 2_000_000, position)
        client.result()
        time.sleep(started_s + 0.4 - time.monotonic())
        details = monitor.run("check")[0]["details"]
        assert f"% by {client.name}[{client.pid}] to 127.0.0.1:{8001 + position})" in details


def test_as_many_connections_of_another_process(workers):
    """The first one closes its connections but still runs: the second one is named at once.

    The first listener is still open, so it is one socket more.
    """
    monitor, server, one, two = workers
    connect(server, one, 8001, 60)
    before = monitor.run("start_monitor", {**LIMITS, "conn_threshold": 100, "tx_threshold_mbps": 1e6})
    assert f"on :8001 owned by server[{server.pid}], 50% opened by one[{one.pid}]" in before["details"]
    one.run("reset")
    server.run("close", 0, 60)
    connect(server, two, 8002, 60)
    after = monitor.run("check")[0]["details"]
    assert f"on :8002 owned by server[{server.pid}], 49% opened by two[{two.pid}]" in after


def test_bytes_before_a_change_of_their_route(namespace):
    """They went by the link of the old route: the new one, which carries others, does not have them."""
    host, outside = namespace(), namespace()
    veth(host, outside)
    veth(host, outside, ("vc", "vd"), ("10.78.0.1/24", "10.78.0.2/24"))
    outside.ip("addr", "add", "10.93.0.1/32", "dev", "lo")
    host.ip("route", "add", "10.93.0.1", "via", "10.77.0.2")
    monitor, app, noise, server = started = [Worker(name) for name in ("monitor", "app", "noise", "server")]
    try:
        for each in started:
            each.run("enter", outside if each is server else host)
        server.run("listen", "10.93.0.1", 8001, 16)
        app.start("connect", [(None, "10.93.0.1", 8001)])
        server.run("accept", 1)
        app.result()
        monitor.run("start_monitor", LIMITS)
        app.start("send", 2_000_000)
        server.run("receive", 2_000_000)
        app.result()
        host.ip("route", "replace", "10.93.0.1", "via", "10.78.0.2")
        noise.run("send_datagrams", "10.78.0.2", 9, 2000)
        content = monitor.run("check", 0.15)[0]
    finally:
        for each in started:
            each.end()
    named = {each["iface"]: each["processes"] for each in content["metrics"]["culprits"]["tx_rate"]}
    assert named == {"va": [], "vc": []}
