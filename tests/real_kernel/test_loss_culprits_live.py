"""Culprits of losses on a real kernel: retransmits, SYN floods, UDP buffers, each in its own namespaces."""

import os
import re
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress

import pytest

from network_health import Monitor, Settings
from tests import protocol_faults as faults
from tests.netns import veth

pytestmark = pytest.mark.root

QUIET = {"tx_threshold_mbps": 1e6, "rx_threshold_mbps": 1e6, "conn_threshold": 10**6}
GOOD, BAD = ("10.77.0.2", 9000), ("10.79.0.3", 9000)


def details(settings, fault, *args):
    """The details of a second check, after ``fault``, with the pid of this process as ``PID``."""
    monitor = Monitor(Settings.from_mapping({**QUIET, **settings}))
    monitor.check()
    with fault(*args):
        return re.sub(rf"\S+\[{os.getpid()}\]", "PID", monitor.check().details)


@contextmanager
def overflow_with_shared_port():
    """Four listeners of one port that do not accept."""
    listeners = []
    for _ in range(4):
        each = socket.socket()
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        each.bind(("127.0.0.1", 8080))
        each.listen(2)
        listeners.append(each)
    clients = [socket.socket() for _ in range(80)]
    for client in clients:
        client.setblocking(False)
        client.connect_ex(("127.0.0.1", 8080))
    time.sleep(0.3)
    yield


def test_listeners_of_one_port_are_one(namespace):
    """All refused connections are at the port, however many sockets listen on it."""
    text = namespace().call(details, {"listen_overflow_threshold_per_sec": 1}, overflow_with_shared_port)
    assert re.fullmatch(
        r"Listen queue overflows .+/s > 1/s \(100% on :8080 owned by PID, 3 waiting of 2\)", text
    )


@contextmanager
def syn_flood(attacker, sources):
    with socket.create_server(("10.77.0.1", 9000), backlog=64):
        thread = threading.Thread(target=send_syns, args=(attacker, sources))
        thread.start()
        thread.join()
        time.sleep(0.2)  # with a shorter window there are no rates
        yield


def send_syns(attacker, sources):
    attacker.enter()
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for number, source in enumerate(sources * 2):
            syn = faults._syn(socket.inet_aton(source), socket.inet_aton("10.77.0.1"), 10_000 + number)
            raw.sendto(syn, ("10.77.0.1", 0))


@pytest.mark.parametrize(
    ("cookies", "limit", "sentence"),
    [
        (1, "syn_queue_threshold_per_sec", "SYN cookies sent"),
        (0, "syn_queue_threshold_per_sec", "SYN queue drops"),
        (0, "listen_drop_threshold_per_sec", "Listen drops"),
    ],
)
def test_a_syn_flood_names_its_port_and_network(namespace, cookies, limit, sentence):
    """The port, its owner, the half-open connections, and the network that they come from."""
    victim, attacker = namespace(), namespace()
    veth(victim, attacker)
    victim.ip("route", "add", "10.66.0.0/16", "via", "10.77.0.2")
    victim.sysctl("net.ipv4.tcp_syncookies", cookies)
    sources = [f"10.66.7.{n}" for n in range(1, 201)]
    text = victim.call(details, {limit: 1}, syn_flood, attacker, sources)
    pattern = (
        r" .+/s > 1/s \(100% on :9000 owned by PID, 65 half-open connections, 100% from 10\.66\.7\.0/24\)"
    )
    assert re.fullmatch(sentence + pattern, text)


@contextmanager
def unread_datagrams(host):
    """A socket that is not read loses datagrams; another one lost more before the check."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
        reader.bind((host, 5353))
        for _ in range(300):
            reader.sendto(b"x" * 1000, (host, 5353))
        time.sleep(0.2)
        yield


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_socket_that_is_not_read_is_named(namespace, host):
    """What another socket lost before the first sample does not count."""

    def with_earlier_losses():
        with unread_datagrams("127.0.0.2"):
            return details({"udp_error_threshold_per_sec": 10}, unread_datagrams, host)

    text = namespace().call(with_earlier_losses)
    assert re.fullmatch(r"UDP receive buffer errors .+/s > 10/s \(100% on :5353 owned by PID\)", text)


@contextmanager
def jammed_sender():
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        sender.setblocking(False)
        sender.connect(("10.77.0.2", 9))
        for _ in range(200):
            with suppress(BlockingIOError, ConnectionRefusedError):
                sender.send(b"x" * 1000)
        time.sleep(0.2)
        yield


def test_the_sender_with_a_full_buffer_is_named(namespace):
    """The kernel counts by socket no datagram that it did not take; the full buffer tells."""
    near, far = namespace(), namespace()
    veth(near, far)
    near.tool("tc", "qdisc", "add", "dev", "va", "root", "tbf", "rate", "8kbit", "burst", "2k", "limit", "1m")
    text = near.call(details, {"udp_error_threshold_per_sec": 10}, jammed_sender)
    assert re.fullmatch(
        r"UDP send buffer errors .+/s > 10/s "
        r"\(to 10\.77\.0\.2:9 owned by PID, \d+ of 16384 bytes wait to be sent\)",
        text,
    )


def routed(namespace):
    """A host with a good peer beside it, and a bad one behind a slow router that drops packets."""
    near, router, far, good = (namespace() for _ in range(4))
    veth(near, good)
    veth(near, router, ("vr", "vn"), ("10.78.0.1/24", "10.78.0.2/24"))
    veth(router, far, ("vs", "vb"), ("10.79.0.2/24", "10.79.0.3/24"))
    router.sysctl("net.ipv4.ip_forward", 1)
    near.ip("route", "add", "10.79.0.0/24", "via", "10.78.0.2")
    far.ip("route", "add", "default", "via", "10.79.0.2")
    router.tool(
        "tc", "qdisc", "add", "dev", "vs", "root", "tbf", "rate", "10mbit", "burst", "5k", "limit", "6000"
    )
    return near, far, good


def sender_to(address):
    """A process of its own that sends to ``address``, with a name that reports have; its pid."""
    child = os.fork()
    if child:
        return child
    try:
        with open("/proc/self/comm", "w") as name:
            name.write("to-" + address[0])
        with socket.create_connection(address) as connection:
            while True:
                connection.sendall(bytes(20_000))
                time.sleep(0.005)
    finally:
        os._exit(0)


@contextmanager
def one_lossy_path(far, good):
    """Send to a good peer and over a router that drops packets."""
    with faults.sink(far, BAD), faults.sink(good, GOOD):
        children = [sender_to(GOOD), sender_to(BAD)]
        time.sleep(1.0)
        yield
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


@pytest.mark.parametrize("mode", ["auto", "breach"])
def test_the_peer_that_loses_packets_is_named(namespace, mode):
    """Peer, process and the share of bytes, from the window of the check or a sample."""
    near, far, good = routed(namespace)
    settings = {"retransmit_threshold_percent": 0.1, "process_network": mode, "check_interval_sec": 4}
    text = near.call(details, settings, one_lossy_path, far, good)
    assert re.fullmatch(
        r"TCP retransmits .+% > 0\.1% \((9\d|100)% to 10\.79\.0\.3:9000 by to-10\.79\.0\.3\[\d+\], "
        r"\d+% of its bytes sent again\)",
        text,
    )


def checks_of_peers(far, good):
    """The reports of a check while one peer loses packets, and of one after that."""
    settings = {"peer_retransmit_threshold_percent": 1}
    monitor = Monitor(Settings.from_mapping({**QUIET, **settings}))
    monitor.check()
    with one_lossy_path(far, good):
        bad = monitor.check()
    recovered = []
    for _ in range(2):  # what was not acknowledged yet is sent again a little longer
        time.sleep(0.5)
        recovered += monitor.check().metrics.get("recovered", [])
    return bad.details, bad.metrics["culprits"]["peer_retransmits"], recovered


def test_one_bad_peer_among_good_ones_is_found(namespace):
    """The share of one peer is judged alone; the alert is resolved when its packets arrive."""
    near, far, good = routed(namespace)
    text, evidence, recovered = near.call(checks_of_peers, far, good)
    assert re.fullmatch(
        r"TCP retransmits to 10\.79\.0\.3 .+% > 1% \(100% to 10\.79\.0\.3:9000 by to-10\.79\.0\.3\[\d+\], "
        r"\d+% of its bytes sent again\)",
        text,
    )
    assert [peer["address"] for peer in evidence["peers"]] == ["10.79.0.3"]
    assert [alert["check"] for alert in recovered] == ["peer_retransmits"]


@contextmanager
def no_answer(far):
    """SYNs to an address that does not exist are sent again after a second, beside good traffic."""
    with faults.sink(far, GOOD), socket.create_connection(GOOD) as good:
        good.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        clients = [socket.socket() for _ in range(40)]
        for client in clients:
            client.setblocking(False)
            client.connect_ex(("10.77.0.9", 9000))
        for _ in range(260):
            good.send(b"x")
            time.sleep(0.005)
        yield


def test_a_peer_that_does_not_answer_is_named(namespace):
    """SYNs that are sent again count, too, though they have no bytes."""
    near, far = namespace(), namespace()
    veth(near, far)
    near.ip("neigh", "add", "10.77.0.9", "lladdr", "02:00:00:00:00:09", "dev", "va")
    text = near.call(details, {"retransmit_threshold_percent": 0.1}, no_answer, far)
    assert re.fullmatch(r"TCP retransmits .+% > 0\.1% \(\d+% to 10\.77\.0\.9:9000 by PID, no answer\)", text)
