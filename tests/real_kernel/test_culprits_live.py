"""Culprits on a real kernel: bytes to the last one, and what is told where not everything is seen."""

import os
import socket
import threading
import time

import pytest

from network_health import Monitor, Settings
from tests import protocol_faults as faults
from tests.netns import veth
from tests.rights import NOBODY

pytestmark = pytest.mark.root

QUIET = {"tx_threshold_mbps": 1e6, "rx_threshold_mbps": 1e6, "conn_threshold": 10**6}


def one_long(octets):
    """One connection carries it all, and stays open."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted = server.accept()[0]
    reader = threading.Thread(target=drain, args=(accepted, octets))
    reader.start()
    client.sendall(bytes(octets))
    reader.join()
    return client, accepted


def many_short(octets):
    """500 connections carry a part each, and are closed at once; one more to there stays."""
    with socket.create_server(("127.0.0.1", 0), backlog=600) as server:
        another = socket.create_connection(server.getsockname()), server.accept()
        for _ in range(500):
            with socket.create_connection(server.getsockname()) as client:
                client.sendall(bytes(octets // 500))
                client.shutdown(socket.SHUT_WR)
                accepted = server.accept()[0]
                drain(accepted, octets // 500)
                accepted.close()
                client.recv(1)
        return server.dup(), another


def drain(connection, octets):
    while octets:
        octets -= len(connection.recv(min(octets, 1 << 20)))


def transferred(how, octets):
    monitor = Monitor(Settings.from_mapping({**QUIET, "process_network": "always"}))
    monitor.check()
    kept = how(octets)
    time.sleep(0.15)  # the kernel tells of a closed socket a moment later; a rate needs a while
    metrics = monitor.check().metrics
    del kept
    return metrics, os.getpid()


@pytest.mark.parametrize("how", [one_long, many_short])
def test_a_transfer_is_attributed_to_the_byte(namespace, how):
    """10 MB over loopback: sent and received by this process, within 2 %, however many connections."""
    octets = 10_000_000
    metrics, pid = namespace().call(transferred, how, octets)
    entry = metrics["top_network"][0]
    assert entry["pid"] == pid
    assert entry["net_rx_bytes"] == pytest.approx(octets, rel=0.02)
    assert entry["net_tx_bytes"] == pytest.approx(octets, rel=0.02)
    # Not all: headers, and what a busy machine makes of the time between two readings.
    assert 50 < metrics["coverage_percent"] <= 100
    nobody = metrics["top_network"][-1]
    assert (nobody["pid"], nobody["name"]) == (None, "unattributed")


def asked(mode):
    """What a healthy report and one of a breach tell of a process's bytes."""
    monitor = Monitor(Settings.from_mapping({**QUIET, "process_network": mode}))
    monitor.check()
    kept = [one_long(1_000_000)]
    time.sleep(0.15)
    healthy = monitor.check()
    monitor.settings = Settings.from_mapping({**QUIET, "tx_threshold_mbps": 0.1, "process_network": mode})
    stop = threading.Event()
    busy = threading.Thread(target=keep_busy, args=(kept[0], stop))
    busy.start()
    time.sleep(0.3)
    breach = monitor.check()
    stop.set()
    busy.join()
    return healthy.as_content(), breach.as_content(), os.getpid()


def keep_busy(ends, stop):
    while not stop.wait(0.005):
        ends[0].sendall(bytes(20_000))
        drain(ends[1], 20_000)


@pytest.mark.parametrize(
    ("mode", "is_told", "names"),
    [("auto", False, True), ("always", True, True), ("breach", False, True), ("off", False, False)],
)
def test_bytes_are_told_when_they_are_asked_for(namespace, mode, is_told, names):
    """Always, on a breach alone (with or without an earlier listing), or never."""
    healthy, breach, pid = namespace().call(asked, mode)
    assert ("top_network" in healthy["metrics"]) is is_told
    assert (f"[{pid}]" in breach["details"]) is names
    assert ("top_network" in breach["metrics"]) is names
    assert ("culprits" in breach["metrics"]["check"]["collectors"]) is names


def flooded_as_nobody(redact):
    """A flood of a port of root's, seen by a user who may not look at root's processes."""
    server = socket.create_server(("127.0.0.1", 8080), backlog=100)
    clients = [socket.create_connection(("127.0.0.1", 8080)) for _ in range(50)]
    held = [server.accept()[0] for _ in clients]
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            monitor = Monitor(Settings.from_mapping({"conn_threshold": 50, "redact": redact}))
            for each in (server, *clients, *held):
                each.close()  # the parent has them still
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(writing, repr(monitor.check().as_content()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    assert len(held) == 50
    return eval(answer)  # of this file's own making


def test_without_rights_ports_and_peers_are_named_still(namespace):
    """Another user's report says that owners are not visible, whose sockets they are, and all the rest."""
    content = namespace().call(flooded_as_nobody, [])
    assert content["details"] == (
        "High connection count: 101 > 50 (50% on :8080, 50% from 127.0.0.1, "
        "owner not visible without root or CAP_SYS_PTRACE)"
    )
    found = content["metrics"]["culprits"]["connections"]
    assert (found["coverage_percent"], found["owners"]) == (0.0, [])
    assert [(u["user"], u["count"]) for u in found["users"]] == [("root", 101)]
    assert found["remotes"] == [{"address": "127.0.0.1", "count": 50, "percent": 49.5}]


def test_what_is_to_be_masked_is_nowhere_in_the_report(namespace):
    """With ``redact`` neither an address nor a user of the evidence is left."""
    content = repr(namespace().call(flooded_as_nobody, ["addresses", "users"]))
    assert ":8080" in content
    assert "127.0.0.1" not in content
    assert "'root'" not in content


def test_lost_packets_are_told_by_kind(namespace):
    """A peer with a smaller MTU drops what it gets: the kernel calls that ``rx_length`` or ``rx_dropped``."""
    near, far = namespace(), namespace()
    veth(near, far)

    def watch():
        monitor = Monitor(Settings.from_mapping(QUIET))
        monitor.check()
        far.ip("link", "set", "vb", "mtu", "600")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(7):
                sender.sendto(bytes(1000), ("10.77.0.2", 9))
        content = monitor.check().as_content()
        return content, near.links()["va"]["stats64"]

    content, ip_says = near.call(watch)
    assert ip_says["tx"]["dropped"] == 7
    assert content["details"] == "va errors: TX=0 RX=0 drops=7 (tx_dropped)"
    assert content["metrics"]["culprits"]["packet_errors"] == [{"iface": "va", "kinds": {"tx_dropped": 7}}]


def test_a_full_tracking_table_names_its_sources(namespace):
    """The entries of the connection tracking table are counted by who opened them."""
    inside = namespace()

    def watch():
        faults.enable_tracking()
        faults.track_flows(300)
        return (
            Monitor(Settings.from_mapping({**QUIET, "conntrack_threshold_percent": 0})).check().as_content()
        )

    content = inside.call(watch)
    assert content["details"].endswith("% > 0% (100% from 127.0.0.1)")
    (source,) = content["metrics"]["culprits"]["conntrack"]["sources"]
    assert source["count"] >= 300


def test_a_culprit_that_cannot_be_looked_for_costs_no_report(namespace, monkeypatch):
    """Where the kernel refuses, the finding is told without a culprit, and why."""

    def refuse(until_s):
        raise PermissionError("not today")

    monkeypatch.setattr("network_health.sources.linux.read_socket_groups", refuse)

    def watch():
        with socket.create_server(("127.0.0.1", 0)):
            return Monitor(Settings.from_mapping({"conn_threshold": 0})).check().as_content()

    content = namespace().call(watch)
    assert content["details"] == "High connection count: 1 > 0"
    assert content["metrics"]["culprits"] == {"failure": "connections: PermissionError: not today"}
