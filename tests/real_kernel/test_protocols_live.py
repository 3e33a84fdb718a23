"""Protocol faults on a real kernel, in network namespaces, and the findings of a monitor there."""

import json
import re
import runpy
import socket
import time
from pathlib import Path

import pytest

from network_health import Monitor, Settings
from network_health.sources.linux.protocols import read_protocols
from tests import protocol_faults as faults
from tests.netns import veth
from tests.tree import ROOT

pytestmark = pytest.mark.root

QUIET = {"tx_threshold_mbps": 10**6, "rx_threshold_mbps": 10**6}
DIRECTIVE = ROOT / "directives" / "network_health_recommended.py"


def watched(settings, fault, *args):
    """The content of a check with ``fault`` in its window, and the result of the fault.

    Then the minimum and the maximum of the window in seconds, measured inside and around it.
    """
    before_s = time.monotonic()
    monitor = Monitor(Settings.from_mapping({**QUIET, **settings}))
    started_s = time.monotonic()
    result = fault(*args)
    time.sleep(0.2)
    ended_s = time.monotonic()
    report = monitor.check()
    return report.as_content(), result, ended_s - started_s, time.monotonic() - before_s


def rate_of(count, metrics, name, least_s, most_s):
    """Whether a rate is that of ``count`` events in the window."""
    return count / most_s - 0.01 <= metrics["protocols"][name] <= count / least_s + 0.01


def findings(content):
    return [finding.rpartition(" > ")[0].rpartition(" ")[0] for finding in content["details"].split("; ")]


def test_a_full_accept_queue_is_found(namespace):
    """Connections that do not fit into the queue of a listener are reported as overflows."""
    content, unanswered, *_ = namespace().call(
        watched, {"listen_overflow_threshold_per_sec": 1}, faults.overflow_listener
    )
    assert unanswered > 0
    assert findings(content) == ["Listen queue overflows"]
    assert (content["status"], content["severity"]) == ("network_issue", "WARNING")
    protocols = content["metrics"]["protocols"]
    assert protocols["listen_drops_per_sec"] >= protocols["listen_overflows_per_sec"] > 1


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_datagrams_that_are_not_read_are_found(namespace, host):
    """The rate is exactly that of the lost datagrams, over IPv4 and IPv6."""
    content, lost, least_s, most_s = namespace().call(
        watched, {"udp_error_threshold_per_sec": 10}, faults.flood_reader, host
    )
    assert lost > 100
    assert findings(content) == ["UDP receive buffer errors"]
    assert rate_of(lost, content["metrics"], "udp_receive_buffer_errors_per_sec", least_s, most_s)


def test_datagrams_that_cannot_be_sent_are_found(namespace):
    """If a link is slower than its sender, the rate has each datagram that the kernel did not take."""
    near, far = namespace(), namespace()
    veth(near, far)
    near.tool(
        "tc", "qdisc", "add", "dev", "va", "root", "tbf", "rate", "64kbit", "burst", "2k", "limit", "1m"
    )
    content, refused, least_s, most_s = near.call(
        watched, {"udp_error_threshold_per_sec": 10}, faults.jam_sender, ("10.77.0.2", 9)
    )
    assert refused > 100
    assert findings(content) == ["UDP send buffer errors"]
    assert rate_of(refused, content["metrics"], "udp_send_buffer_errors_per_sec", least_s, most_s)


def routed(namespace):
    """Two hosts with a router between them."""
    near, router, far = namespace(), namespace(), namespace()
    veth(near, router, ("va", "vr"), ("10.78.0.1/24", "10.78.0.2/24"))
    veth(router, far, ("vs", "vb"), ("10.79.0.1/24", "10.79.0.2/24"))
    router.sysctl("net.ipv4.ip_forward", 1)
    near.ip("route", "add", "default", "via", "10.78.0.2")
    far.ip("route", "add", "default", "via", "10.79.0.1")
    return near, router, far


def pushed(far):
    with faults.sink(far):
        content, clients, *_ = watched({"retransmit_threshold_percent": 2}, faults.push)
        for client in clients:
            client.close()
    return content


def test_retransmits_are_found(namespace):
    """If a router with a slow link drops packets (``tc``), more than 2 % of segments are sent again."""
    near, router, far = routed(namespace)
    router.tool(
        "tc", "qdisc", "add", "dev", "vs", "root", "tbf", "rate", "20mbit", "burst", "5k", "limit", "10000"
    )
    content = near.call(pushed, far)
    assert findings(content) == ["TCP retransmits"]
    assert content["metrics"]["protocols"]["retransmit_percent"] > 2
    (queue,) = json.loads(router.tool("tc", "-s", "-j", "qdisc", "show", "dev", "vs"))
    assert queue["drops"] > 0


def test_a_path_without_loss_has_no_retransmits(namespace):
    """The same traffic without drops is not a finding, and its rates are known."""
    near, _, far = routed(namespace)
    content = near.call(pushed, far)
    assert content["status"] == "healthy"
    assert content["metrics"]["protocols"]["retransmit_percent"] < 2
    assert content["metrics"]["protocols"]["out_segments_per_sec"] > 100


def test_a_filling_conntrack_table_is_found(namespace):
    """With a rule that enables tracking, the table has the entries of 1,000 flows."""
    size = int(Path("/proc/sys/net/netfilter/nf_conntrack_max").read_text())
    inside = namespace()
    inside.call(faults.enable_tracking)
    limit = 500 / size * 100
    content, *_ = inside.call(watched, {"conntrack_threshold_percent": limit}, faults.track_flows, 1000)
    assert findings(content) == ["Conntrack table"]
    table = content["metrics"]["protocols"]["conntrack"]
    assert table == {"used": table["used"], "limit": size, "percent": round(table["used"] / size * 100, 2)}
    assert 1000 <= table["used"] <= 1010


def test_flows_that_are_not_tracked_have_no_entries(namespace):
    """Without such a rule the table stays empty."""
    content, *_ = namespace().call(watched, {"conntrack_threshold_percent": 0}, faults.track_flows, 1000)
    assert content["status"] == "healthy"
    assert content["metrics"]["protocols"]["conntrack"]["used"] == 0


@pytest.mark.parametrize(
    ("cookies", "found", "counted"),
    [
        (1, "SYN cookies sent", "syn_cookies_sent_per_sec"),
        (0, "SYN queue drops", "syn_queue_full_drops_per_sec"),
    ],
)
def test_a_syn_flood_is_found(namespace, cookies, found, counted):
    """Of 200 SYNs, those that do not fit into the queue are cookies, or drops if cookies are off."""
    victim, attacker = namespace(), namespace()
    veth(victim, attacker)
    victim.sysctl("net.ipv4.tcp_syncookies", cookies)
    content, _, least_s, most_s = victim.call(
        watched, {"syn_queue_threshold_per_sec": 1}, faults.flood_with_syns, attacker, "10.77.0.1"
    )
    assert findings(content) == [found]
    assert 150 / most_s < content["metrics"]["protocols"][counted] <= 200 / least_s


def ports_in_use(host, end):
    """The content of a check while no port is left, and the ports that are in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    clients = []
    with socket.create_server((host, 9000), family=family) as server:
        faults.connect_until_refused(server, clients)
        used = [client.getsockname()[1] for client in clients]
        for client in clients if end else ():
            client.shutdown(socket.SHUT_WR)
            server.accept()[0].close()
            client.close()
        monitor = Monitor(Settings.from_mapping({**QUIET, "ephemeral_port_threshold_percent": 80}))
        return monitor.check().as_content(), used


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("end", [False, True], ids=["open", "time-wait"])
def test_used_up_ephemeral_ports_are_found(namespace, host, end):
    """If the kernel has no port left, all are reported as in use, also those of closed connections."""
    inside = namespace()
    inside.sysctl("net.ipv4.ip_local_port_range", "40000 40019")
    content, used = inside.call(ports_in_use, host, end)
    assert sorted(used) == list(range(40000, 40020))
    to = "[::1]:9000" if ":" in host else "127.0.0.1:9000"
    sentence, _, culprit = content["details"].partition(" (")
    assert sentence == f"Ephemeral ports from {host} to {to} 100.0% > 80%"
    assert culprit.endswith("% TIME_WAIT)") if end else re.fullmatch(r"100% owned by .+\[\d+\]\)", culprit)
    assert content["metrics"]["protocols"]["ephemeral_ports"] == {
        "local": host,
        "remote": host,
        "remote_port": 9000,
        "used": 20,
        "limit": 20,
        "percent": 100.0,
    }  # fmt: skip - one route, one line


def ports_spread():
    """The content of a check with one connection per port, but to two servers, one in the port range."""
    clients = []
    with socket.create_server(("127.0.0.1", 9000)) as one, socket.create_server(("127.0.0.1", 40000)) as two:
        for server in [one] * 10 + [two] * 9:
            clients.append(socket.create_connection(server.getsockname()))
        accepted = [server.accept()[0] for server in [one] * 10 + [two] * 9]
        monitor = Monitor(Settings.from_mapping({**QUIET, "ephemeral_port_threshold_percent": 80}))
        content = monitor.check().as_content()
        for each in clients + accepted:
            each.close()
        return content


def test_ports_for_different_remotes_are_counted_apart(namespace):
    """With half of the ports for each server, half are in use; accepted connections use none."""
    inside = namespace()
    inside.sysctl("net.ipv4.ip_local_port_range", "40000 40019")
    content = inside.call(ports_spread)
    assert content["status"] == "healthy"
    ports = content["metrics"]["protocols"]["ephemeral_ports"]
    assert (ports["remote_port"], ports["used"], ports["limit"]) == (9000, 10, 20)


def normal_traffic():
    """50 connections with an answer each, and 50 datagrams that are read."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(type=socket.SOCK_DGRAM) as reader:
        reader.bind(("127.0.0.1", 0))
        for _ in range(50):
            with socket.create_connection(server.getsockname()) as client, server.accept()[0] as taken:
                client.sendall(b"question")
                taken.sendall(taken.recv(8))
                client.recv(8)
                client.close()  # first, so that its port is in TIME_WAIT
            reader.sendto(b"x", reader.getsockname())
            reader.recv(8)


def test_normal_traffic_breaches_no_recommended_limit(namespace):
    """With the limits of the recommended directive, a host with normal traffic is healthy."""
    (agent,) = [
        node
        for node in runpy.run_path(str(DIRECTIVE))["matrix_directive"]["children"]
        if node["name"] == "network_health"
    ]
    content, *_ = namespace().call(watched, agent["config"], normal_traffic)
    assert (content["status"], content["severity"]) == ("healthy", "INFO")
    protocols = content["metrics"]["protocols"]
    assert protocols["listen_overflows_per_sec"] == 0
    assert protocols["ephemeral_ports"]["used"] == 50


def protocols_and_limits():
    limits = {"orphans": "tcp_max_orphans", "tcp_memory": "tcp_mem"}
    there = {name for name, file in limits.items() if Path("/proc/sys/net/ipv4", file).exists()}
    return Monitor().check().metrics["protocols"], there


def test_limits_of_the_whole_host_are_reported_where_they_are_visible(namespace):
    """Orphans and TCP memory are left out in a namespace that has no file with their limits."""
    for protocols, there in (protocols_and_limits(), namespace().call(protocols_and_limits)):
        assert {"orphans", "tcp_memory"} & set(protocols) == there
        assert all(protocols[name]["limit"] > 0 for name in there)


def test_every_cpu_that_is_online_is_read():
    """The CPUs of softnet_stat are those that are online."""
    online = set()
    for part in Path("/sys/devices/system/cpu/online").read_text().strip().split(","):
        first, _, last = part.partition("-")
        online.update(range(int(first), int(last or first) + 1))
    assert set(read_protocols().softnet) == online
