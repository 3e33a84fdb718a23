"""Who is behind the rate of a veth interface: processes in containers; the host only forwards."""

import os
import re
import socket
import time

import pytest

from network_health import Monitor, Settings
from network_health.attribution import namespace_traffic
from network_health.attribution.traffic_window import TrafficWindows
from network_health.sources.linux import call_in_namespace, read_namespaces
from tests.netns import behind_a_host, veth
from tests.real_kernel.paced import PORT, Sender, check, clauses, listening, lookups, named, started

pytestmark = pytest.mark.root
SHARE = 12


@pytest.fixture
def routed(namespace):
    """A host that forwards for a container."""
    return behind_a_host(namespace)


def masked(clause):
    """The clause without numbers that differ from run to run."""
    return re.sub(r"\d+%", "N%", re.sub(r"\[\d+\]", "[PID]", clause))


@pytest.mark.parametrize("receives", [False, True])
def test_a_process_in_a_container_is_named(routed, receives):
    """It sends or receives through the host: the veth alone names it, with its container."""
    host, outside, box = routed
    sender = Sender("backup", "10.8.0.2", 20, receives=receives)
    with listening(outside), started(box, sender.run):
        content = check(host, [], namespaces="auto")
    direction, word = ("outbound", "from") if receives else ("inbound", "to")
    who = f"by backup[PID] in namespace {box.name}"
    text = f"N% {who} {word} 10.8.0.2:{PORT + receives}"
    found = {name: masked(clause) for name, clause in clauses(content, direction).items()}
    assert found == {"v-box": text}
    other_way = clauses(content, "inbound" if receives else "outbound")
    assert "backup" not in str(other_way)
    (entry,) = content["metrics"]["culprits"]["tx_rate" if receives else "rx_rate"]
    assert (entry["iface"], entry["direction"], entry["namespace"]) == (
        "v-box",
        direction,
        f"namespace {box.name}",
    )
    assert entry["coverage_percent"] > 90


def test_a_process_of_the_host_is_named_on_the_veth_to_its_peer(routed):
    """What the host itself sends to a container is of its own process."""
    host, _, box = routed
    with listening(box):
        content = check(host, [Sender("push", "10.9.0.2", 20)], namespaces="auto")
    found = {name: masked(clause) for name, clause in clauses(content).items()}
    assert found == {"v-box": f"N% by push[PID] to 10.9.0.2:{PORT}"}


def test_an_active_alert_does_not_enter_the_container_again(routed):
    """After the lookup its answer is kept until the rate has changed by a fifth: no namespace is entered."""
    host, outside, box = routed

    def watch():
        entered = []
        enter = namespace_traffic.linux.calls_in_namespaces

        def counted(calls):
            entered.extend(pid for pid, *_ in calls)
            return enter(calls)

        namespace_traffic.linux.calls_in_namespaces = counted
        monitor = Monitor(Settings(rx_threshold_mbps=1, conn_threshold=10**6, exclude_interfaces=["eth0"]))
        time.sleep(0.5)
        seen = []
        for _ in range(4):
            seen.append((monitor.check().details, len(entered)))
            time.sleep(0.3)
        return seen

    with listening(outside), started(box, Sender("backup", "10.8.0.2", 20).run):
        time.sleep(0.3)
        seen = host.call(watch)
    rates = [float(re.search(r"v-box inbound ([\d.]+) Mbps", details)[1]) for details, _ in seen]
    assert [count for _, count in seen] == lookups(rates)
    clause = seen[-1][0].partition(" (")[2]
    assert masked(clause) == f"N% by backup[PID] in namespace {box.name} to 10.8.0.2:{PORT})"


def test_a_container_with_very_many_flows(routed, monkeypatch):
    """Those with most bytes are followed, at most 1,000 (here one); other bytes have no process."""
    assert namespace_traffic._MAX_FLOWS == 1000
    monkeypatch.setattr(namespace_traffic, "_MAX_FLOWS", 1)
    host, outside, box = routed
    outside.ip("address", "add", "10.8.0.3/24", "dev", "p")
    senders = Sender("big", "10.8.0.2", 20), Sender("small", "10.8.0.3", 10)
    with listening(outside), started(box, *(each.run for each in senders)):
        content = check(host, [], namespaces="auto")
    assert masked(clauses(content, "inbound")["v-box"]) == (
        f"N% by big[PID] in namespace {box.name} to 10.8.0.2:{PORT}"
    )
    assert named(content, "inbound")["v-box"] == {"big": pytest.approx(64, abs=SHARE)}


def test_two_containers_are_not_mixed_up(namespace, routed):
    """Each veth names its own container, although both send to one address from one kind of process."""
    host, outside, box = routed
    second = namespace()
    veth(host, second, ("v-two", "eth0"), ("10.6.0.1/24", "10.6.0.2/24"))
    second.ip("route", "add", "default", "via", "10.6.0.1")
    one, two = Sender("one", "10.8.0.2", 20), Sender("two", "10.8.0.2", 10)
    with listening(outside), started(box, one.run), started(second, two.run):
        content = check(host, [], namespaces="auto")
    assert {name: masked(clause) for name, clause in clauses(content, "inbound").items()} == {
        "v-box": f"N% by one[PID] in namespace {box.name} to 10.8.0.2:{PORT}",
        "v-two": f"N% by two[PID] in namespace {second.name} to 10.8.0.2:{PORT}",
    }


def test_the_bytes_of_a_container_are_those_that_it_sent(routed):
    """TCP from one namespace to another: what is read of its socket equals what the sender counted."""
    host, outside, box = routed
    size = 5_000_000

    def send():
        end = socket.create_connection(("10.8.0.2", PORT))
        time.sleep(1)
        end.sendall(bytes(size))
        time.sleep(60)

    def sample():
        windows = TrafficWindows()
        windows.read()
        time.sleep(2)
        window = windows.read(is_last=True)
        windows.close()
        return sum(each.sent for each in window.traffic)

    def watch():
        (busy,) = [each for each in read_namespaces() if each.inode == box_inode]
        return call_in_namespace(busy.pid, busy.inode, sample)

    with listening(outside), started(box, send):
        box_inode = os.stat(f"/run/netns/{box.name}").st_ino
        time.sleep(0.5)
        sent = host.call(watch)
    assert sent == pytest.approx(size, rel=0.02)
