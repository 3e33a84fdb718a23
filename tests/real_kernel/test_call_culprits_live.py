"""Which process is named for a rate that TCP does not explain, with ``bpf``: on the real kernel."""

import contextlib
import os
import re
import socket
import time

import pytest

from network_health import Monitor, Settings
from network_health.attribution import call_crossings
from tests.netns import veth
from tests.real_kernel.paced import Sender, check, clauses, listening, named, pace, started
from tests.running_kernel import needs_tracepoints

pytestmark = [pytest.mark.root, needs_tracepoints]
SHARE = 12


@pytest.fixture
def host(namespace):
    """A host with a link to each of two others, which are returned as well."""
    host, one, two = namespace(), namespace(), namespace()
    veth(host, one, ("eth0", "p"), ("10.8.0.1/24", "10.8.0.2/24"))
    veth(host, two, ("eth1", "p"), ("10.7.0.1/24", "10.7.0.2/24"))
    return host, one, two


@pytest.mark.parametrize("process_network", ["auto", "breach", "always"])
def test_a_process_that_sends_datagrams(host, process_network):
    """It is named with its peer for the interface of its route, not for the other one."""
    here, one, two = host
    with listening(one, two):
        content = check(
            here,
            [Sender("quic", "10.8.0.2", 20, udp=True), Sender("backup", "10.7.0.2", 20)],
            bpf=True,
            process_network=process_network,
        )
    found = named(content)
    assert {name: set(shares) for name, shares in found.items()} == {"eth0": {"quic"}, "eth1": {"backup"}}
    assert found["eth0"]["quic"] == pytest.approx(96, abs=SHARE)
    assert "to 10.8.0.2:5000" in clauses(content)["eth0"]
    if process_network != "breach":  # then the bytes are only in the report of the lookup
        names = {each["name"] for each in content["metrics"]["top_network"]}
        assert names == {"quic", "backup", "unattributed"}


def test_beside_tcp_on_one_link(host):
    """Both are named, with their shares of the same second."""
    here, one, _ = host
    with listening(one):
        content = check(
            here, [Sender("quic", "10.8.0.2", 30, udp=True), Sender("backup", "10.8.0.2", 10)], bpf=True
        )
    assert named(content) == {"eth0": pytest.approx({"quic": 72, "backup": 24}, abs=SHARE)}


def test_very_many_peers(host, monkeypatch):
    """Routes are looked up for the flows with most bytes; the processes of the others are not named."""
    monkeypatch.setattr(call_crossings, "_MAX_FLOWS", 1)
    here, one, _ = host
    one.ip("address", "add", "10.8.0.3/24", "dev", "p")
    senders = [Sender("quic", "10.8.0.2", 20, udp=True), Sender("small", "10.8.0.3", 10, udp=True)]
    with listening(one):
        content = check(here, senders, bpf=True)
    assert named(content) == {"eth0": pytest.approx({"quic": 64}, abs=SHARE)}


def unconnected(name, address):
    """A process that sends 20 Mbps from a socket that has no peer."""

    def run():
        with open("/proc/self/comm", "w") as comm:
            comm.write(name)
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:
            for _ in range(20):
                end.sendto(bytes(1250), (address, 9))
            time.sleep(0.01)

    return run


def test_a_socket_without_a_peer(host):
    """It has no route, but no other interface carried its bytes."""
    here, _, two = host
    with listening(two), started(here, unconnected("server", "10.8.0.2")):
        content = check(here, [Sender("backup", "10.7.0.2", 20)], bpf=True)
    assert {name: set(shares) for name, shares in named(content).items()} == {
        "eth0": {"server"},
        "eth1": {"backup"},
    }
    assert clauses(content)["eth0"].startswith(f"{named(content)['eth0']['server']:.0f}% by server[")


def test_sockets_without_a_peer_on_two_links(host):
    """Each may have sent by either link: nobody is named, and a note says why."""
    here, *_ = host
    works = unconnected("one", "10.8.0.2"), unconnected("two", "10.7.0.2")
    with started(here, *works):
        content = check(here, [], bpf=True)
    assert named(content) == {"eth0": {}, "eth1": {}}
    notes = [each["note"] for each in content["metrics"]["culprits"]["tx_rate"]]
    assert notes == ["not known by which of several interfaces part of the bytes came or went"] * 2


def brief():
    """Processes that send a lot, and end at once."""
    with open("/proc/self/comm", "w") as comm:
        comm.write("brief")
    while True:
        child = os.fork()
        if child == 0:
            end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            end.connect(("10.8.0.2", 9))
            for _ in range(600):
                with contextlib.suppress(ConnectionRefusedError):
                    end.send(bytes(1250))
            os._exit(0)
        os.waitpid(child, 0)
        time.sleep(0.3)


def test_processes_that_have_ended(host):
    """They have a name without a pid, which another process may have."""
    here, *_ = host
    with started(here, brief):
        content = check(here, [], bpf=True)
    assert "by brief to 10.8.0.2:9" in clauses(content)["eth0"]


def test_received_datagrams(host):
    """The process that receives them is named with their sender."""
    here, one, _ = host

    def receive():
        with open("/proc/self/comm", "w") as comm:
            comm.write("reader")
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind(("10.8.0.1", 5000))
        end.connect(("10.8.0.2", 4000))
        while True:
            end.recv(2000)

    def send():
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        end.bind(("10.8.0.2", 4000))
        end.connect(("10.8.0.1", 5000))
        pace(end, 20, 1200)

    with started(here, receive), started(one, send):
        content = check(here, [], bpf=True)
    assert set(named(content, "inbound")["eth0"]) == {"reader"}
    assert "from 10.8.0.2:4000" in clauses(content, "inbound")["eth0"]


def flood(address):
    """A process that sends 16 Mbps of datagrams that nobody reads."""

    def run():
        end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        while True:
            for _ in range(16):
                end.sendto(bytes(1250), (address, 9))
            time.sleep(0.01)

    return run


@pytest.mark.parametrize("device", ["", "eth0"])
def test_datagrams_to_several_hosts_that_come_back(host, device):
    """The host's own sockets receive them without an interface: they are no part of what an interface got."""
    here, one, _ = host
    group, port = "239.1.1.1", 6000
    end = socket.inet_aton("10.8.0.1")

    def receive():
        with open("/proc/self/comm", "w") as comm:
            comm.write("listener")
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        if device:
            receiver.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        receiver.bind((group, port))
        receiver.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + end)
        while True:
            receiver.recv(2000)

    def send():
        with open("/proc/self/comm", "w") as comm:
            comm.write("caster")
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, end)
        while True:
            for _ in range(10):
                sender.sendto(bytes(1250), (group, port))
            time.sleep(0.01)

    with started(here, receive, send), started(one, flood("10.8.0.1")):
        content = check(here, [], bpf=True)
    assert named(content, "inbound") == {"eth0": {}}
    assert set(named(content)["eth0"]) == {"caster"}


def test_datagrams_to_a_host_that_does_not_answer(host):
    """The kernel drops them after the call: their process is not named for what others sent."""
    here, _, two = host
    here.sysctl("net.ipv4.ip_forward", 1)
    two.ip("route", "add", "default", "via", "10.7.0.1")

    def statsd():
        with open("/proc/self/comm", "w") as comm:
            comm.write("statsd")
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect(("10.8.0.99", 8125))
        while True:
            for _ in range(10):
                with contextlib.suppress(OSError):  # no route to host
                    sender.send(bytes(1250))
            time.sleep(0.01)

    with started(here, statsd), started(two, flood("10.8.0.2")):
        content = check(here, [], bpf=True)
    assert named(content)["eth0"] == {}


def test_a_container_that_sends_datagrams(namespace):
    """The veth to it names the process in it, also if the host only forwards and the socket has no peer."""
    host, outside, box = namespace(), namespace(), namespace()
    veth(host, outside, ("eth0", "p"), ("10.8.0.1/24", "10.8.0.2/24"))
    veth(host, box, ("v-box", "eth0"), ("10.9.0.1/24", "10.9.0.2/24"))
    host.sysctl("net.ipv4.ip_forward", 1)
    box.ip("route", "add", "default", "via", "10.9.0.1")
    with started(box, unconnected("server", "10.8.0.2")):
        content = check(host, [], bpf=True, namespaces="auto")
    clause = clauses(content, "inbound")["v-box"]
    assert re.fullmatch(rf"\d+% by server\[\d+\] in namespace {box.name}", clause), clause
    assert named(content, "inbound")["v-box"]["server"] == pytest.approx(96, abs=SHARE)
    assert "server" not in clauses(content)["eth0"]


def test_without_rights(host):
    """The report is as without the setting, and says what is missing."""
    here, one, _ = host

    def watch():
        Monitor(Settings(tx_threshold_mbps=1)).check()  # imports all that it needs, which others cannot read
        os.setgid(65534)
        os.setuid(65534)
        monitor = Monitor(Settings(tx_threshold_mbps=1, bpf=True))
        time.sleep(0.3)
        return monitor.check().as_content()

    with listening(one), started(here, Sender("quic", "10.8.0.2", 20, udp=True).run):
        content = here.call(watch)
    assert named(content) == {"eth0": {}}
    assert (
        content["metrics"]["culprits"]["failure"]
        == "bpf: PermissionError: [Errno 1] bpf(2) cannot create a map: Operation not permitted"
    )


def test_without_the_setting(host):
    """Nobody is named for datagrams, and the report says that the setting would tell."""
    here, one, _ = host
    with listening(one):
        content = check(here, [Sender("quic", "10.8.0.2", 20, udp=True)])
    assert named(content) == {"eth0": {}}
    (evidence,) = content["metrics"]["culprits"]["tx_rate"]
    assert evidence["hint"] == '"bpf": true names the process of what is not TCP'


def test_tcp_needs_no_hint(host):
    """A rate that TCP explains has none."""
    here, one, _ = host
    with listening(one):
        content = check(here, [Sender("backup", "10.8.0.2", 20)])
    assert "hint" not in content["metrics"]["culprits"]["tx_rate"][0]
