"""Tests of the culprits of losses: listeners, half-open connections, UDP sockets, CPUs."""

import ipaddress
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest

from network_health.alerting import peer_findings
from network_health.attribution import (
    listener_culprits,
    loss_culprits,
    loss_lookups,
    loss_readings,
    process_traffic,
    retransmit_culprits,
    udp_culprits,
)
from network_health.collectors.protocols import observe_protocols
from network_health.model import (
    RESENT_COUNTER,
    Connections,
    Cost,
    Finding,
    HalfOpen,
    Owner,
    ProtocolCounters,
    ProtocolReading,
    Snapshot,
    Socket,
    SocketResent,
    SocketTraffic,
    SoftnetCounters,
    UdpSocket,
)
from network_health.settings import Settings

HOST = bytes([10, 0, 0, 1])
APP1, APP2 = (1001,), (1002,)


def owner_of(holders):
    return Owner(holders[0], f"app{holders[0] - 1000}", "www")


def listener(port, cookie, waiting=0, backlog=128, drops=0):
    return Socket("LISTEN", bytes(4), port, bytes(4), 0, cookie, cookie, 0, 0, waiting, backlog, drops)


def addresses(*texts):
    return {ipaddress.ip_address(text).packed: 1 for text in texts}


def refusals(owned, refused, half_open=(), lost=0):
    return listener_culprits.of_listeners(owned, Counter(refused), half_open, owner_of, 5, lost)


def test_the_listener_with_most_refused_connections_is_named():
    """Without newly refused connections a full queue decides; without a full queue no listener is named."""
    owned = [(listener(80, 1, 3, 2), APP1), (listener(81, 2, 1, 9), APP2)]
    assert refusals(owned, {1: 1, 2: 3})[0] == " (75% on :81 owned by app2[1002], 1 waiting of 9)"
    assert refusals(owned, {})[0] == " (on :80 owned by app1[1001], 3 waiting of 2)"
    assert refusals(owned[1:], {})[0] == ""


def test_listeners_that_share_a_port_are_one_port():
    """The port has what all of them refused; the process that refused most is named, and how many others."""
    owned = [(listener(80, 1), APP1), (listener(80, 2, 9, 4), APP2), (listener(80, 3), (1003,))]
    clause, evidence = refusals([*owned, (listener(81, 4), APP1)], {1: 40, 2: 60})
    assert clause == " (100% on :80 owned by app2[1002] and 1 other, 9 waiting of 4)"
    (entry,) = evidence["listeners"]
    assert (entry["refused"], entry["sockets"], entry["more_owners"]) == (100, 3, 1)


def test_shares_are_of_all_refused_connections():
    """What a listener refused that is closed by now is a part of the total; a moment's difference is not."""
    owned = [(listener(80, 1, 9, 4), APP1)]
    assert refusals(owned, {1: 50}, lost=200)[0].startswith(" (25% on :80 ")
    assert refusals(owned, {1: 98}, lost=100)[0].startswith(" (100% on :80 ")


@pytest.mark.parametrize(
    ("texts", "source"),
    [
        (["10.9.8.1"] * 1, "100% from 10.9.8.1"),
        ([f"10.9.8.{n}" for n in range(100)], "100% from 10.9.8.0/24"),
        ([f"10.9.{n}.1" for n in range(100)], "from 100 networks"),
        ([f"2001:db8::{n:x}" for n in range(100)], "100% from 2001:db8::/64"),
    ],
)
def test_half_open_connections_are_named_by_address_or_network(texts, source):
    """Where single addresses have few, their networks are named, and if these have few, their number."""
    half = HalfOpen(80, len(texts), addresses(*texts))
    listeners = [(listener(80, 1, backlog=len(texts)), APP1)]
    clause, evidence = listener_culprits.of_half_open(listeners, [half], owner_of, 5)
    assert clause == f" (100% on :80 owned by app1[1001], {len(texts)} half-open connections, {source})"
    (entry,) = evidence["listeners"]
    assert (entry["half_open"], entry["percent"]) == (len(texts), 100.0)


def test_a_flood_fills_the_listener_that_refuses():
    """Half-open connections are named only if they fill a listener whose accept queue has room."""
    half = [HalfOpen(80, 100, {HOST: 100}), HalfOpen(81, 9, addresses("10.9.8.2"))]
    flooded = [(listener(80, 1, 0, 128), APP1), (listener(81, 2), APP2)]
    assert refusals(flooded, {1: 9}, half)[0] == (
        " (100% on :80 owned by app1[1001], 100 half-open connections, 100% from 10.0.0.1)"
    )
    full = [(listener(80, 1, 129, 128), APP1)]
    assert refusals(full, {1: 9}, half)[0] == " (100% on :80 owned by app1[1001], 129 waiting of 128)"


def udp(port, cookie, drops=0, queued=0, remote=bytes(4), remote_port=0):
    return UdpSocket(HOST, port, remote, remote_port, cookie, cookie, drops, queued, 1000)


def test_the_port_that_lost_most_datagrams_is_named():
    """Sockets of one port count together; the total has what closed sockets lost."""
    sockets = [udp(53, 1), udp(53, 2), udp(54, 3), udp(55, 4)]
    pids = {1: APP1, 2: APP2, 3: APP2}
    clause, evidence = udp_culprits.of_receivers(sockets, Counter({1: 60, 2: 30, 3: 10}), pids, owner_of, 5)
    assert clause == " (90% on :53 owned by app1[1001] and 1 other)"
    assert [(e["port"], e["count"]) for e in evidence["sockets"]] == [(53, 90), (54, 10)]
    assert udp_culprits.of_receivers(sockets, Counter({1: 5}), pids, owner_of, 5, 100)[0] == ""


def test_the_fullest_send_buffer_is_named():
    """The kernel does not count by socket what was not sent: the sockets with a full buffer are named."""
    sockets = [udp(53, 1, queued=600), udp(54, 2, 0, 900, HOST, 123), udp(55, 3, queued=10)]
    clause, evidence = udp_culprits.of_senders(sockets, {2: APP2}, owner_of, 5)
    assert clause == " (to 10.0.0.1:123 owned by app2[1002], 900 of 1000 bytes wait to be sent)"
    assert [e["port"] for e in evidence["sockets"]] == [54, 53]


def test_the_cpu_with_most_drops_is_named():
    """With its share of all drops."""
    assert loss_culprits.of_cpus({0: 3, 3: 97}, 5)[0] == " (97% on CPU 3)"


@pytest.mark.parametrize("check", ["softnet_dropped", "softnet_squeezed"])
def test_the_cpu_is_that_of_the_check_itself(check):
    """The counts by CPU are those of the window of the finding: no lookup reads anything."""
    counts = {"softnet_dropped_by_cpu": {}, "softnet_squeezed_by_cpu": {}} | {f"{check}_by_cpu": {0: 1, 1: 9}}
    before = ProtocolReading(0.0, ProtocolCounters(), {0: SoftnetCounters(5, 5), 1: SoftnetCounters(7, 7)})
    name = check.removeprefix("softnet_")
    later = {0: replace(before.softnet[0], **{name: 6}), 1: replace(before.softnet[1], **{name: 16})}
    protocols = observe_protocols(before, ProtocolReading(10.0, ProtocolCounters(), later))
    snapshot = Snapshot(0.0, None, None, None, (), Cost(0.0, {}, {}), protocols)
    context = SimpleNamespace(snapshot=snapshot, count=5)
    assert {key: +Counter(getattr(protocols, key)) for key in counts} == counts
    finding = Finding(check, "host", "Softnet", 1.0, 0)
    assert loss_lookups.LOOKUPS[check](context, finding)[0] == " (90% on CPU 1)"


class Sockets:
    """The lists that the kernel gives, one after the other."""

    def __init__(self, *drops):
        self.left = [[udp(53, 1, n)] for n in drops]

    def read(self):
        return self.left.pop(0)


def test_only_drops_since_the_previous_check_count():
    """In one check the sockets are read once; without an earlier reading a sample is taken."""
    sockets = Sockets(1000, 1007, 1009, 1010)
    counters = loss_readings.DropCounters(sockets.read)
    counters.end_check(is_cheap=True)
    assert counters.losses().new == {1: 7}
    assert counters.losses().since_last_check
    counters.end_check(is_cheap=False)
    sampled = counters.losses()
    assert (sampled.new, sampled.since_last_check, sockets.left) == ({1: 1}, False, [])


def test_drops_are_read_in_every_check_only_for_a_limit_and_few_sockets():
    """Without the limit nothing is read; with more than 1,000 UDP sockets a lookup takes a sample."""
    limited = Settings(udp_error_threshold_per_sec=1)
    for settings, number, reads in ((Settings(), 5, 0), (limited, 5, 1), (limited, 1001, 0)):
        sockets = Sockets(1, 2, 3)
        readings = loss_readings.LossReadings(udp=loss_readings.DropCounters(sockets.read))
        connections = Connections({"NONE": number})
        readings.end_check(Snapshot(0.0, None, connections, None, (), Cost(0.0, {}, {})), settings)
        assert 3 - len(sockets.left) == reads


def sender(cookie, resent, resent_bytes=0, inode=11, state="ESTABLISHED"):
    return Socket(state, HOST, 40000, HOST, 873, inode, cookie, resent=resent, resent_bytes=resent_bytes)


def test_segments_sent_again_are_differences_by_cookie():
    """What a socket sent again before the window does not count; a closed one has its last known inode."""
    before = {1: RESENT_COUNTER.pack(100, 5000, 11), 2: RESENT_COUNTER.pack(3, 30, 12)}
    vanished = {3: RESENT_COUNTER.pack(1, 10, 13)}
    now = [
        sender(1, 100, 5000),
        sender(2, 5, 50, 0, "CLOSE"),
        sender(3, 2, 20, 0, "CLOSE"),
        sender(4, 7),
        sender(5, 0),
    ]
    found = process_traffic.socket_resent(before, vanished, now)
    assert [(each.socket.cookie, each.socket.inode, *each[1:]) for each in found] == [
        (2, 12, 2, 20),
        (3, 13, 1, 10),
        (4, 11, 7, 0),
    ]


def resent(remote, segments, octets, port=873, state="ESTABLISHED", local_port=40000):
    address = ipaddress.ip_address(remote).packed
    return SocketResent(Socket(state, HOST, local_port, address, port, 11, 0), segments, octets)


def acknowledged(remote, octets):
    return SocketTraffic(
        Socket("ESTABLISHED", HOST, 1, ipaddress.ip_address(remote).packed, 1, 0, 0), octets, 0
    )


BAD, GOOD = "10.0.0.9", "10.0.0.7"


@pytest.mark.parametrize(
    ("rows", "clause"),
    [
        ([], ""),
        (
            [(resent(BAD, 90, 9000), APP1), (resent(GOOD, 10, 1000), APP2)],
            " (90% to 10.0.0.9:873 by app1[1001], 30% of its bytes sent again)",
        ),
        (
            [(resent(BAD, 60, 6000), APP1), (resent(BAD, 40, 3000, 874), APP2)],
            " (100% to 10.0.0.9:873 by app1[1001] and others, 30% of its bytes sent again)",
        ),
        ([(resent(BAD, 9, 0, state="SYN_SENT"), APP1)], " (100% to 10.0.0.9:873 by app1[1001], no answer)"),
        (
            [(resent(BAD, 9, 9000, 50000, local_port=80), APP1)],
            " (100% to 10.0.0.9 by app1[1001], 30% of its bytes sent again)",
        ),
        ([(resent(BAD, 9, 0, 5, "SYN_RECV", 80), APP1)], " (100% SYN-ACKs on :80 owned by app1[1001])"),
        ([(resent(f"10.0.1.{n}", 5, 500), APP1) for n in range(20)], " (100% by app1[1001] to 20 peers)"),
        ([(resent(f"10.0.1.{n}", 5, 500), None) for n in range(20)], " (to 20 peers)"),
    ],
)
def test_the_clause_names_the_peer_of_retransmits(rows, clause):
    """It names peer and process, the share of segments and of the peer's bytes, or half-open connections."""
    traffic = [acknowledged(BAD, 21_000)]
    assert retransmit_culprits.of_retransmits(rows, traffic, {80}, owner_of, 5)[0] == clause


def test_segments_of_sockets_that_were_not_seen_are_part_of_the_total():
    """The shares are of all segments that the host sent again."""
    rows = [(resent(BAD, 90, 9000), APP1)]
    clause, evidence = retransmit_culprits.of_retransmits(rows, [], set(), owner_of, 5, counted=900)
    assert clause == " (10% to 10.0.0.9:873 by app1[1001], 100% of its bytes sent again)"
    assert [(entry["count"], entry["percent"]) for entry in evidence["peers"]] == [(90, 10.0)]


def test_the_worst_peer_has_the_largest_share_of_its_bytes():
    """Not the most segments; a peer with fewer than ten, or without bytes, is not evaluated."""
    rows = [
        resent(BAD, 10, 5000),
        resent(GOOD, 500, 50_000),
        resent("10.0.0.6", 9, 900),
        resent("10.0.0.5", 90, 0, state="SYN_SENT"),
    ]
    traffic = [acknowledged(BAD, 5000), acknowledged(GOOD, 950_000)]
    assert retransmit_culprits.worst_peer(rows, traffic) == (ipaddress.ip_address(BAD).packed, 50.0)
    assert retransmit_culprits.worst_peer(rows[2:], traffic) is None


@pytest.mark.parametrize(
    ("percent", "settings", "finding"),
    [
        (11.0, {}, None),
        (11.0, {"peer_retransmit_threshold_percent": 10}, ("TCP retransmits to 10.0.0.9 11.0% > 10%", True)),
        (10.0, {"peer_retransmit_threshold_percent": 10}, None),
        (
            9.0,
            {"peer_retransmit_threshold_percent": 10, "clear_percent": 80},
            ("TCP retransmits to 10.0.0.9 9.0% > 8% (80% of the limit)", False),
        ),
    ],
)
def test_the_limit_of_a_peer(percent, settings, finding):
    """More than the limit is a breach; the clear band keeps an alert active."""
    found = [(each.text, each.breached) for each in peer_findings(BAD, percent, Settings(**settings))]
    assert found == ([finding] if finding else [])
