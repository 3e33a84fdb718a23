"""Tests of the culprits of a finding: tables of small examples, and properties."""

import ipaddress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.attribution import (
    connection_culprits,
    lookup,
    loss_culprits,
    missing_owners,
    ownership,
    process_traffic,
)
from network_health.attribution.loss_readings import LossKinds, LossReadings
from network_health.model import (
    ANOTHER_PROCESS,
    BYTE_COUNTER,
    Cost,
    Finding,
    Interface,
    Link,
    Owner,
    Snapshot,
    Socket,
    SocketGroup,
    SocketTraffic,
)
from network_health.reporting.network import network_metrics
from network_health.settings import Settings
from network_health.sources.linux import SocketOwners

HOST, PEER, OTHER = (ipaddress.ip_address(f"10.0.0.{n}").packed for n in (1, 7, 9))
APP1, APP2, HIDDEN, NO_OWNER = 1001, 1002, 0, None


def owner_of(holders):
    known = (pid for pid in holders if pid != ANOTHER_PROCESS)
    first, *others = (Owner(pid, f"app{pid - 1000}", "www") for pid in known)
    others += [Owner(None, "another process")] if ANOTHER_PROCESS in holders else []
    return replace(first, shared_with=tuple(others))


def tcp(port, remote=PEER, remote_port=5000, state="ESTABLISHED", inode=11, local=HOST, **more):
    return Socket(state, local, port, remote, remote_port, inode, more.pop("cookie", 0), **more)


def listener(port, inode=11, local=bytes(4), **more):
    return tcp(port, bytes(4), 0, "LISTEN", inode, local, **more)


def group(state, local, remote, count, owner):
    """``owner`` is a pid, ``HIDDEN`` if it is unknown, ``NO_OWNER`` if no process has the sockets open."""
    owners = {(owner,): count} if owner else {}
    return SocketGroup("tcp", state, *local, *remote, count, count if owner is NO_OWNER else 0, owners)


def listening(port, owner, address=bytes(4)):
    return group("LISTEN", (address, port), (bytes(len(address)), 0), 1, owner)


def accepted(port, remote, count, owner, state="ESTABLISHED"):
    return group(state, (HOST, port), (remote, 0), count, owner)


def opened(remote, port, count, owner, state="ESTABLISHED"):
    return group(state, (HOST, 0), (remote, port), count, owner)


def culprits(*groups, note=""):
    return connection_culprits.of_connections(groups, owner_of, 5, note)


@pytest.mark.parametrize(
    ("groups", "clause"),
    [
        ([], ""),
        (
            [listening(80, APP1), accepted(80, PEER, 9, APP1)],
            " (100% on :80 owned by app1[1001], 90% from 10.0.0.7)",
        ),
        (
            [listening(80, APP1), accepted(80, PEER, 9, NO_OWNER, "SYN_RECV")],
            " (100% on :80 owned by app1[1001], 90% SYN_RECV, 90% from 10.0.0.7)",
        ),
        (
            [opened(OTHER, 443, 9, APP2, "CLOSE_WAIT"), opened(PEER, 5000, 1, APP1)],
            " (90% to 10.0.0.9:443 owned by app2[1002], 90% CLOSE_WAIT)",
        ),
        (
            [*[opened(OTHER, n, 1, APP2) for n in range(1, 10)], opened(PEER, 5000, 1, APP1)],
            " (90% owned by app2[1002])",
        ),
        (
            [opened(OTHER, 443, 9, NO_OWNER, "TIME_WAIT"), opened(OTHER, 443, 1, APP2)],
            " (100% to 10.0.0.9:443 owned by app2[1002] or another process, 90% TIME_WAIT)",
        ),
        ([opened(OTHER, n, 1, HIDDEN) for n in range(1, 21)], ""),
        (
            [accepted(80, PEER, 1, HIDDEN), accepted(80, OTHER, 1, HIDDEN), listening(80, HIDDEN)],
            " (100% on :80, 33% from 10.0.0.7)",
        ),
    ],
)
def test_the_clause_names_the_culprit_of_connections(groups, clause):
    """The clause names the port with most connections, the remote endpoint, or the process."""
    assert culprits(*groups)[0] == clause


def test_sockets_without_an_owner_get_the_likely_one():
    """The likely owner is the listener, else the only process that is connected to the remote, or another."""
    half_open = accepted(80, PEER, 3, NO_OWNER, "SYN_RECV")
    waiting = opened(OTHER, 443, 4, NO_OWNER, "TIME_WAIT")
    connected = opened(OTHER, 443, 1, APP2)
    assigned = ownership.with_likely_owners([listening(80, APP1), half_open, waiting, connected])
    assert [(g.without_owner, g.owners) for g in assigned[1:3]] == [
        (0, {(APP1,): 3}),
        (0, {(APP2, ANOTHER_PROCESS): 4}),
    ]
    two = ownership.with_likely_owners([waiting, connected, opened(OTHER, 443, 1, APP1, "CLOSE_WAIT")])
    assert (two[0].without_owner, two[0].owners) == (4, {})


def test_no_note_beside_the_owner_of_nearly_all_sockets():
    """A sentence that names the owner of 95% of the sockets has no note; the evidence has it."""
    groups = listening(80, APP1), accepted(80, PEER, 96, APP1), accepted(81, PEER, 3, HIDDEN)
    clause, evidence = culprits(*groups, note=missing_owners.ACCESS_DENIED)
    assert clause == " (97% on :80 owned by app1[1001], 99% from 10.0.0.7)"
    assert evidence["note"] == missing_owners.ACCESS_DENIED


class Finder:
    """Finds ``APP1`` as the owner of inode 11, and no other one."""

    def find(self, inodes, deadline_s, closed=()):
        return SocketOwners({11: (APP1,)}, access_denied=True)


def test_losses_are_read_once_for_all_interfaces(monkeypatch):
    """However many interfaces have losses. What was reported of removed interfaces is forgotten."""
    readings = []

    def read_loss_kinds():
        readings.append({2: {"rx_crc": 9}, 3: {"rx_over": 2}, 4: {}})
        return readings[-1]

    monkeypatch.setattr(lookup.linux, "read_loss_kinds", read_loss_kinds)
    losses = LossReadings(LossKinds({2: {"rx_crc": 4}, 4: {}, 9: {"rx_crc": 1}}))
    names = {2: "eth0", 3: "eth1"}
    interfaces = tuple(Interface(Link(name, up=True, index=index)) for index, name in names.items())
    snapshot = Snapshot(0.0, interfaces, None, None, (), Cost(0.0, {}, {}))
    findings = [
        Finding("packet_errors", name, f"{name} errors: TX=0 RX=5 drops=0", 5, 0) for name in names.values()
    ]
    answers, _ = lookup.Lookup(Finder(), losses, snapshot, Settings(), None).attribute(findings)
    losses.end_check(snapshot, Settings())
    assert [(finding.subject, clause) for finding, (clause, _) in answers] == [
        ("eth0", " (rx_crc)"),
        ("eth1", " (rx_over)"),
    ]
    assert [evidence for _, (_, evidence) in answers] == [
        {"iface": "eth0", "kinds": {"rx_crc": 5}},
        {"iface": "eth1", "kinds": {"rx_over": 2}},
    ]
    assert (losses.kinds.reported, len(readings)) == (readings[0], 1)


def test_the_note_says_that_owners_are_not_visible():
    """The note is at the end of the clause and in the evidence, beside the coverage."""
    groups = listening(80, HIDDEN), accepted(80, PEER, 1, HIDDEN)
    clause, evidence = culprits(*groups, note=missing_owners.ACCESS_DENIED)
    assert clause == f" (100% on :80, 50% from 10.0.0.7, {missing_owners.ACCESS_DENIED})"
    assert (evidence["coverage_percent"], evidence["note"]) == (0.0, missing_owners.ACCESS_DENIED)


def test_an_ipv6_network_is_one_remote():
    """IPv6 addresses of one /64 count together."""
    v6 = [ipaddress.ip_address(f"2001:db8:0:{n % 2}::{n:x}").packed for n in range(10)]
    groups = [accepted(80, address, 1, APP1) for address in (*v6[::2], v6[1])]
    _, evidence = culprits(listening(80, APP1, bytes(16)), *groups)
    assert [(r["address"], r["count"]) for r in evidence["remotes"]] == [
        ("2001:db8::/64", 5),
        ("2001:db8:0:1::/64", 1),
    ]


def test_a_semicolon_in_a_name_is_replaced():
    """Otherwise the rest of the name would look like the next finding."""
    groups = [opened(OTHER, n, 1, APP1) for n in range(1, 6)]
    clause, _ = connection_culprits.of_connections(groups, lambda holders: Owner(holders[0], "a; b"), 5)
    assert clause == " (100% owned by a, b[1001])"


ADDRESSES = st.sampled_from([PEER, OTHER, bytes(16), bytes(8) + PEER * 2])
STATES = st.sampled_from(["ESTABLISHED", "LISTEN", "TIME_WAIT", "CLOSE_WAIT"])
OWNERS = st.sampled_from([NO_OWNER, APP1, APP2, HIDDEN])
GROUPS = st.lists(
    st.builds(accepted, st.integers(1, 5), ADDRESSES, st.integers(1, 9), OWNERS, STATES)
    | st.builds(opened, ADDRESSES, st.integers(1, 5), st.integers(1, 9), OWNERS, STATES),
    max_size=40,
)


@given(GROUPS)
def test_shares_are_of_all_sockets(groups):
    """Each list is in order, and its counts add up to at most all sockets."""
    clause, evidence = culprits(*groups)
    assert evidence["total"] == sum(g.sockets for g in groups)
    for kind in ("ports", "remotes", "endpoints", "states", "owners"):
        counts = [entry["count"] for entry in evidence[kind]]
        assert counts == sorted(counts, reverse=True)
        assert sum(counts) <= evidence["total"]
        assert all(0 <= entry["percent"] <= 100 for entry in evidence[kind])
    assert clause == "" or (clause.startswith(" (") and clause.endswith(")") and ";" not in clause)


@given(GROUPS)
def test_likely_owners_do_not_change_the_number_of_sockets(groups):
    """Each group keeps its number of sockets, and of those whose owner is not visible."""
    for before, after in zip(groups, ownership.with_likely_owners(groups), strict=True):
        assert (after.sockets, after.owner_unknown) == (before.sockets, before.owner_unknown)
        assert after.without_owner in (0, before.without_owner)


@pytest.mark.parametrize(
    ("before", "after", "clause"),
    [
        ({}, {"rx_crc": 3}, " (rx_crc)"),
        ({"rx_crc": 3}, {"rx_crc": 4, "rx_missed": 9}, " (rx_missed 9, rx_crc 1)"),
        ({"rx_crc": 3}, {"rx_crc": 3}, ""),
        ({"rx_crc": 3}, {"rx_crc": 2}, ""),
    ],
)
def test_only_new_kinds_of_losses_are_named(before, after, clause):
    """Only increases count; what a counter that went back has missed is unknown."""
    assert loss_culprits.of_kinds("eth0", loss_culprits.new_since(before, after))[0] == clause


def test_bytes_are_differences_by_cookie():
    """Open, new, closed and reset sockets count their bytes of the window, once."""
    before = {n: BYTE_COUNTER.pack(100, 50, 11) for n in (1, 2, 3)}
    now = [
        tcp(1, cookie=1, sent=150, received=50),
        tcp(3, cookie=3, sent=10, received=0),
        tcp(4, cookie=4, sent=7, received=0),
    ]
    closed = [tcp(2, cookie=2, sent=100, received=90, inode=0, state="CLOSE")]
    traffic = process_traffic.socket_traffic(before, {}, [*now, *closed])
    assert {t.socket.cookie: (t.sent, t.received) for t in traffic} == {1: (50, 0), 2: (0, 40), 4: (7, 0)}
    assert next(t for t in traffic if t.socket.cookie == 2).socket.inode == 11


def test_a_vanished_socket_is_remembered_for_one_window():
    """The kernel reports it as closed later; bytes that were counted before must not count again."""
    first = {1: BYTE_COUNTER.pack(100, 0, 11)}
    vanished = process_traffic.vanished_counters(first, {}, [])
    assert vanished == first
    late = tcp(1, cookie=1, sent=130, inode=0, state="CLOSE")
    traffic = process_traffic.socket_traffic({}, vanished, [late])
    assert [(t.sent, t.socket.inode) for t in traffic] == [(30, 11)]
    assert process_traffic.vanished_counters(first, {}, [late]) == {}
    assert process_traffic.vanished_counters(first, first, []) == {}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99), st.integers(0, 99)), max_size=20))
def test_attributed_and_unattributed_bytes_add_up(rows):
    """The entries of a report have all bytes; the last entry has the unattributed ones."""
    traffic = [
        (SocketTraffic(tcp(n), sent, received), (n % 3,) if n % 3 else None) for n, sent, received in rows
    ]
    seen = process_traffic.by_process(traffic, 2.0, (500, 40), True)
    entries = network_metrics(seen, {})
    assert sum(e["net_tx_bytes"] for e in entries) == max(500, sum(t.sent for t, _ in traffic))
    assert sum(e["net_rx_bytes"] for e in entries) == max(40, sum(t.received for t, _ in traffic))
    assert sum(e["sockets"] for e in entries) == len(rows)
    assert 0 <= seen.coverage_percent <= 100
    assert entries[-1]["net_tx_bytes"] >= 0
