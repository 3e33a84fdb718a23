"""Lookups in containers: what is counted, for how long answers are kept, and what is left when one ends."""

import math
import os
import signal
import socket
import time

import pytest

from network_health import Monitor, Settings
from network_health.attribution import interface_traffic, kept_answers, namespace_lookups
from network_health.attribution.interface_paths import RECEIVED, SENT, Crossings
from network_health.attribution.namespace_traffic import sample_together
from network_health.attribution.namespace_ways import read_ways
from network_health.collectors import observe_namespaces
from network_health.model import FlowTuple
from network_health.sources import linux
from tests import nftables
from tests.netns import run
from tests.real_kernel.container_host import OUTSIDE, Host, first_lookup, masked, sending
from tests.real_kernel.paced import PORT, Sender, clauses, listening, started

pytestmark = pytest.mark.root


def test_the_processes_of_containers_among_those_with_most_bytes(namespace):
    """They have their namespace and protocol; each byte counts once, although it crosses three interfaces."""
    it = Host(namespace, nat=True)
    with listening(it.outside), sending(it.one, Sender("backup", OUTSIDE, 20)):
        metrics = it.host.call(first_lookup)["metrics"]
    backup, others = metrics["top_network"]
    assert (backup["name"], backup["namespace"], backup["protocol"]) == (
        "backup",
        f"namespace {it.one.name}",
        "tcp",
    )
    assert others["name"] == "unattributed"
    assert backup["net_tx_bytes"] > others["net_tx_bytes"] + others["net_rx_bytes"]
    assert 50 < metrics["coverage_percent"] <= 100


@pytest.mark.parametrize("receives", [False, True])
def test_the_bytes_of_a_container_on_the_uplink(namespace, receives):
    """They equal what the sender counted, within 2 %, on each interface that they crossed."""
    it, size = Host(namespace, nat=True), 8_000_000
    far = it.outside if receives else it.one

    def transfer():
        server = socket.create_server((OUTSIDE if receives else "10.9.0.2", 7000))
        end = server.accept()[0]
        time.sleep(1)
        end.sendall(bytes(size))
        time.sleep(60)

    def read():
        end = socket.create_connection((OUTSIDE if receives else "10.9.0.2", 7000))
        while end.recv(1 << 20):
            pass

    def watch():
        seen = observe_namespaces(linux.NamespaceReader().read(), list(linux.read_links().values()))
        (box,) = [each for each in seen.entries if each.label.endswith(it.one.name)]
        links = {link.name: index for index, link in linux.read_links().items()}
        window, others, failures = sample_together([box], 4.0, math.inf, with_calls=False)
        routed = interface_traffic.read_routed([], window.rerouted)
        ways = {}
        for way, traffic in read_ways(others, routed.paths, window.rerouted):
            ways.setdefault(way, []).extend(traffic)
        found = {}
        for direction, names in ((SENT, ("eth0", "br0", "v1")), (RECEIVED, ("eth0", "br0", "v1"))):
            crossings = Crossings(direction, ways, routed.paths, window.carried)
            for name in names:
                of_link = crossings.of(links[name])[0]
                found[name, direction] = sum(
                    sum(each.bytes_of(traffic, direction) for traffic, _ in each.traffic) - each.elsewhere
                    for each in of_link
                )
        return found, failures

    it.outside.ip("route", "add", "10.9.0.0/24", "via", "10.8.0.1")  # the container is a server, too
    with started(far, transfer):
        while ":7000 " not in far.tool("ss", "-Hltn"):
            time.sleep(0.02)
        with started(it.one if receives else it.outside, read):
            while ":7000 " not in far.tool("ss", "-Htn", "state", "established"):
                time.sleep(0.02)
            found, failures = it.host.call(watch)
    sent, back = (RECEIVED, SENT) if receives else (SENT, RECEIVED)
    crossed = {("eth0", sent): size, ("br0", back): size, ("v1", back): size}
    assert failures == []
    assert {key: found[key] for key in crossed} == pytest.approx(crossed, rel=0.02)
    assert max(found[key] for key in found.keys() - crossed.keys()) < 0.02 * size


def test_a_container_that_ends_with_an_active_alert(namespace):
    """Its veth is gone within a second: nothing of its namespace is kept from the lookups before."""
    it = Host(namespace, nat=True)

    def watch():
        monitor = Monitor(Settings(rx_threshold_mbps=1, tx_threshold_mbps=1, conn_threshold=10**6))
        time.sleep(0.5)
        found = [clauses(monitor.check().as_content()).get("eth0", "") for _ in range(2)]
        run("umount", "--lazy", f"/run/netns/{it.one.name}")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        ended_s = time.monotonic()
        while "v1" in [name for _, name in socket.if_nameindex()]:
            time.sleep(0.01)
            assert time.monotonic() < ended_s + 60
        return found, time.monotonic() - ended_s

    with listening(it.outside), sending(it.one, Sender("backup", OUTSIDE, 20)):
        pids = [*map(int, run("ip", "netns", "pids", it.one.name).split())]
        found, gone_after_s = it.host.call(watch)
    assert [masked(clause) for clause in found] == [
        f"N% by backup[PID] in namespace {it.one.name} to {OUTSIDE}:{PORT}"
    ] * 2
    assert gone_after_s < 1


def test_what_no_container_explains_is_not_looked_up_in_each_check(namespace):
    """The bytes are of a packet socket: the first check compares the veths, the next ones do not."""
    it = Host(namespace, nat=True)

    def flood():
        end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        end.bind(("eth0", 0))
        while True:
            for _ in range(50):
                end.send(b"\xff" * 12 + b"\x88\xb5" + bytes(1000))
            time.sleep(0.02)

    def watch():
        readings, choose = [], namespace_lookups.chosen
        namespace_lookups.chosen = lambda *given: readings.append(1) or choose(*given)
        kept_answers._CHANGE = 1000  # the rate is not steady
        monitor = Monitor(Settings(tx_threshold_mbps=1, rx_threshold_mbps=10**6, conn_threshold=10**6))
        time.sleep(0.5)
        counts = []
        for _ in range(3):
            details = monitor.check().details
            counts.append(len(readings))
            time.sleep(0.3)
        return counts, details.startswith("eth0 outbound")

    with listening(it.two), started(it.host, flood):
        found = it.host.call(watch)
    assert found == ([1, 1, 1], True)


def test_redirected_connections(namespace):
    """Where the packets of a connection go, in both directions; unknown if the kernel does not track it."""
    it = Host(namespace, nat=True)
    it.host.call(nftables.publish, "10.99.0.1", PORT, OUTSIDE, PORT)

    def connect(address):
        end = socket.create_connection((address, PORT))
        ends[address] = end  # stays open
        return end.getsockname()[1]

    ends = {}
    with listening(it.outside):
        plain, redirected = it.one.call(lambda: [connect("10.8.0.2"), connect("10.99.0.1")])
        one, outside, published = map(socket.inet_aton, ("10.9.0.2", OUTSIDE, "10.99.0.1"))
        flows = [
            FlowTuple(one, outside, plain, PORT),
            FlowTuple(one, published, redirected, PORT),
            FlowTuple(outside, socket.inet_aton("10.8.0.1"), PORT, redirected),
            FlowTuple(one, outside, 1, PORT),
        ]
        assert it.host.call(linux.read_destinations, flows) == [outside, outside, one, None]
