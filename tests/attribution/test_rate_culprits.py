"""The culprits of a rate: shares, peers, processes that share sockets, and notes."""

import ipaddress
from collections import Counter

import pytest

from network_health.attribution import (
    interface_traffic,
    lookup,
    missing_owners,
    process_traffic,
    rate_culprits,
)
from network_health.attribution.interface_paths import Crossing, InterfacePaths, Way
from network_health.attribution.loss_readings import LossReadings
from network_health.attribution.traffic_window import Window
from network_health.model import Cost, Finding, Interface, Link, Snapshot, Socket, SocketTraffic
from network_health.settings import Settings
from network_health.sources.linux import InterfaceAddress, Route, network_of
from tests.attribution.test_culprits import APP1, Finder, owner_of

HOST, PEER, OTHER = (ipaddress.ip_address(f"10.0.0.{n}").packed for n in (1, 7, 9))
ETH0 = Interface(Link("eth0", up=True, index=2), tx_mbps=8.0, rx_mbps=8.0)


def traffic(sent, received, port=40000, remote=OTHER, remote_port=873, inode=11):
    socket = Socket("ESTABLISHED", HOST, port, remote, remote_port, inode, inode)
    return SocketTraffic(socket, sent, received)


def rate(owned, direction="outbound", carried=0, elsewhere=0):
    crossings = [Crossing(owned, elsewhere)]
    return rate_culprits.of_rate(ETH0, direction, crossings, carried, owner_of, {80}, 5)


BULK = traffic(900, 1)
TO_MANY = [(traffic(100, 0, 80, bytes([10, 0, 1, n])), (1002,)) for n in range(5)]


@pytest.mark.parametrize(
    ("owned", "carried", "clause"),
    [
        ([], 1000, ""),
        ([(BULK, (1001,))], 0, " (100% by app1[1001] to 10.0.0.9:873)"),
        ([(BULK, (1001,))], 1000, " (90% by app1[1001] to 10.0.0.9:873)"),
        ([(BULK, None)], 1000, " (90% to 10.0.0.9:873)"),
        ([(BULK, (1001,))], 100_000, ""),
        ([(BULK, (1001, 1002))], 1000, " (90% by app1[1001] or app2[1002] to 10.0.0.9:873)"),
        (
            [(BULK, (1001,)), (traffic(300, 0, 80, PEER), (1002,))],
            1200,
            " (75% by app1[1001] to 10.0.0.9:873, 25% by app2[1002] to 10.0.0.7)",
        ),
        (TO_MANY, 0, " (100% by app2[1002] to 5 peers)"),
    ],
)
def test_the_clause_names_the_culprits_of_a_rate(owned, carried, clause):
    """The clause names processes and their peers, with shares of all bytes of the interface."""
    assert rate(owned, carried=carried)[0] == clause


def test_bytes_that_may_have_gone_elsewhere_do_not_count():
    """They are taken from each process and from each peer; who has no more than these is not named."""
    owned = [(BULK, (1001,)), (traffic(90, 0, 80, PEER, inode=12), (1002,))]
    clause, evidence = rate(owned, carried=1000, elsewhere=100)
    assert clause == " (80% by app1[1001] to 10.0.0.9:873)"
    assert [(e["pid"], e["bytes"], e["peers"][0]["bytes"]) for e in evidence["processes"]] == [
        (1001, 800, 800)
    ]
    assert evidence["coverage_percent"] == 80.0
    clause, evidence = rate(TO_MANY, carried=1000, elsewhere=150)
    assert clause == " (35% by app2[1002] to 5 peers)"
    assert (evidence["processes"][0]["bytes"], evidence["processes"][0]["peers"]) == (350, [])


@pytest.mark.parametrize(
    ("hidden_bytes", "note"), [(100, None), (99_000, None), (101_000, missing_owners.ACCESS_DENIED)]
)
def test_the_note_of_a_rate_counts_bytes(hidden_bytes, note, monkeypatch):
    """Many sockets whose owner is not visible are noted only if they carried a tenth of the bytes."""
    rows = [(1_000_000 - hidden_bytes, 11), *[(hidden_bytes // 10, 20 + n) for n in range(10)]]
    sockets = tuple(traffic(n, 0, 80, inode=inode) for n, inode in rows)
    clause, evidence = looked_up(sockets, {2: (1_000_000, 0)}, Way(2), monkeypatch)
    assert (missing_owners.ACCESS_DENIED in clause) == (note is not None)
    assert evidence.get("note") == note


def test_a_new_interface_has_no_culprit(monkeypatch):
    """Without its bytes of the window no share is known; neither if its counters went back."""
    assert looked_up((BULK,), {3: (1000, 0)}, Way(2), monkeypatch) == (None, None)


def test_a_disagreement_is_noted(monkeypatch):
    """More bytes of sockets than the interface carried: nobody is named, and the report says why."""
    clause, evidence = looked_up((BULK,), {2: (500, 0)}, Way(2), monkeypatch)
    note = "routes and counters of the interfaces disagree about part of the bytes"
    assert (clause, evidence["note"]) == (f" ({note})", note)
    assert (evidence["processes"], evidence["coverage_percent"]) == ([], 0.0)


def looked_up(sockets, carried, way, monkeypatch):
    """The clause and the evidence of eth0; all traffic is routed ``way``."""
    links = {2: ETH0.link}
    monkeypatch.setattr(
        interface_traffic,
        "read_routed",
        lambda owned, _: interface_traffic.RoutedTraffic(InterfacePaths(links), {way: owned}),
    )
    monkeypatch.setattr(lookup.linux, "read_users", lambda hidden: Counter({(33, 0): sum(hidden.values())}))
    snapshot = Snapshot(0.0, (ETH0,), None, None, (), Cost(0.0, {}, {}))
    window = Window(1.0, sockets, (), True, carried)
    look = lookup.Lookup(Finder(), LossReadings(), snapshot, Settings(), window)
    look.owners.known[APP1] = owner_of((APP1,))
    answers, _ = look.attribute([Finding("tx_rate", "eth0", "eth0 outbound", 8.0, 1)])
    return answers[0][1] if answers else (None, None)


def test_bytes_of_new_and_reset_interfaces_are_unknown():
    """Only interfaces of both readings whose counters did not go back have carried bytes."""
    before = {1: (10, 10), 2: (5, 5), 3: (7, 7)}
    now = {1: (15, 10), 2: (4, 9), 4: (100, 100)}
    assert process_traffic.carried_since(before, now) == {1: (5, 0)}


@pytest.mark.parametrize(("on_ports", "flows"), [(False, [[10, 9], [8]]), (True, [[10], [9]])])
def test_flows_are_sockets_with_the_same_route(on_ports, flows, monkeypatch):
    """Ports tell flows apart only if routes depend on them; the flows with most bytes are looked up."""
    monkeypatch.setattr(lookup.linux, "MAX_ROUTES", 2)
    owned = [
        (traffic(n, 0, port, peer), None) for n, port, peer in ((9, 1, OTHER), (8, 2, PEER), (10, 3, OTHER))
    ]
    found = interface_traffic.largest_flows(owned, with_ports=on_ports)
    assert [sorted((each.sent for each, _ in flow), reverse=True) for flow in found] == flows


def address(interface, packed, prefix=24):
    return InterfaceAddress(interface, packed, network_of(packed, prefix), prefix)


@pytest.mark.parametrize(
    ("bound", "next_hop", "addresses", "returns"),
    [
        (0, PEER, [address(2, HOST)], True),
        (0, PEER, [address(3, HOST)], False),
        (0, PEER, [address(2, HOST), address(3, HOST)], False),
        (2, PEER, [address(3, HOST)], True),
        (3, PEER, [address(3, HOST)], False),
        (0, OTHER, [address(2, PEER), address(1, HOST, 32)], True),
        (0, OTHER, [address(2, PEER), address(3, HOST)], False),
        (0, OTHER, [address(2, PEER), address(3, HOST, 30)], True),
        (0, OTHER, [address(2, PEER), address(3, HOST, 0)], False),
        (0, PEER, [], False),
    ],
)
def test_answers_that_may_arrive_by_another_interface(bound, next_hop, addresses, returns):
    """They arrive by the route's one to its own address, to a bound socket, or from its neighbour only."""
    socket = BULK.socket._replace(device=bound)
    found = interface_traffic._returns(socket, Route(2, next_hop), interface_traffic.Addresses(addresses))
    assert found is returns


def test_answers_within_the_host_arrive_by_loopback():
    """Also if the address is one of another interface."""
    socket, addresses = BULK.socket._replace(remote=HOST), interface_traffic.Addresses([address(2, HOST)])
    assert interface_traffic._returns(socket, Route(1, HOST), addresses) is True
