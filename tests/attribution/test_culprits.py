"""Who is behind a finding: tables of small situations, and what must hold for any."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.attribution import connection_culprits, loss_culprits, ownership, process_traffic
from network_health.model import BYTE_COUNTER, Interface, Link, Owner, Socket, SocketGroup, SocketTraffic
from network_health.reporting.report import network_metrics

HOST, PEER, OTHER = (ipaddress.ip_address(f"10.0.0.{n}").packed for n in (1, 7, 9))
APP1, APP2, HIDDEN, NOBODY = 1001, 1002, 0, None


def named(pid):
    return Owner(pid, f"app{pid - 1000}", "www")


def tcp(port, remote=PEER, remote_port=5000, state="ESTABLISHED", inode=11, local=HOST, **more):
    return Socket(state, local, port, remote, remote_port, inode, more.pop("cookie", 0), **more)


def listener(port, inode=11, local=bytes(4), **more):
    return tcp(port, bytes(4), 0, "LISTEN", inode, local, **more)


def bundle(state, local, remote, count, holder):
    """``holder`` is a pid, ``HIDDEN`` where it is not known, ``NOBODY`` where there is none."""
    holders = {holder: count} if holder else {}
    return SocketGroup("tcp", state, *local, *remote, count, count if holder is NOBODY else 0, holders)


def listening(port, holder, address=bytes(4)):
    return bundle("LISTEN", (address, port), (bytes(len(address)), 0), 1, holder)


def accepted(port, remote, count, holder, state="ESTABLISHED"):
    return bundle(state, (HOST, port), (remote, 0), count, holder)


def opened(remote, port, count, holder, state="ESTABLISHED"):
    return bundle(state, (HOST, 0), (remote, port), count, holder)


def accused(*bundles, note=""):
    return connection_culprits.of_connections(bundles, named, 5, note)


@pytest.mark.parametrize(
    ("bundles", "clause"),
    [
        ([], ""),
        (
            [listening(80, APP1), accepted(80, PEER, 9, APP1)],
            " (100% on :80 owned by app1[1001], 90% from 10.0.0.7)",
        ),
        (
            [listening(80, APP1), accepted(80, PEER, 9, NOBODY, "SYN_RECV")],
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
            [opened(OTHER, 443, 9, NOBODY, "TIME_WAIT"), opened(OTHER, 443, 1, APP2)],
            " (100% to 10.0.0.9:443 owned by app2[1002], 90% TIME_WAIT)",
        ),
        ([opened(OTHER, n, 1, HIDDEN) for n in range(1, 21)], ""),
        (
            [accepted(80, PEER, 1, HIDDEN), accepted(80, OTHER, 1, HIDDEN), listening(80, HIDDEN)],
            " (100% on :80, 33% from 10.0.0.7)",
        ),
    ],
)
def test_connections_are_explained(bundles, clause):
    """By the port that was flooded, the remote that was called, or the process that holds on."""
    assert accused(*bundles)[0] == clause


def test_what_nobody_holds_is_given_to_whom_it_is_likely_of():
    """To its listener, else to the only one that talks to its remote; what two talk to is nobody's."""
    half_open = accepted(80, PEER, 3, NOBODY, "SYN_RECV")
    waiting = opened(OTHER, 443, 4, NOBODY, "TIME_WAIT")
    talking = opened(OTHER, 443, 1, APP2)
    settled = ownership.settled([listening(80, APP1), half_open, waiting, talking])
    assert [(b.without_owner, b.owners) for b in settled[1:3]] == [(0, {APP1: 3}), (0, {APP2: 4})]
    two = ownership.settled([waiting, talking, opened(OTHER, 443, 1, APP1, "CLOSE_WAIT")])
    assert (two[0].without_owner, two[0].owners) == (4, {})


def test_what_is_not_visible_is_said():
    """The note stands at the end of the clause and in the evidence, with how much is covered."""
    bundles = listening(80, HIDDEN), accepted(80, PEER, 1, HIDDEN)
    clause, evidence = accused(*bundles, note=connection_culprits.INVISIBLE)
    assert clause == f" (100% on :80, 50% from 10.0.0.7, {connection_culprits.INVISIBLE})"
    assert (evidence["coverage_percent"], evidence["note"]) == (0.0, connection_culprits.INVISIBLE)


def test_one_network_of_ipv6_is_one_remote():
    """Addresses of one /64 count together, of two apart."""
    v6 = [ipaddress.ip_address(f"2001:db8:0:{n % 2}::{n:x}").packed for n in range(10)]
    bundles = [accepted(80, address, 1, APP1) for address in (*v6[::2], v6[1])]
    _, evidence = accused(listening(80, APP1, bytes(16)), *bundles)
    assert [(r["address"], r["count"]) for r in evidence["remotes"]] == [
        ("2001:db8::/64", 5),
        ("2001:db8:0:1::/64", 1),
    ]


def test_the_sentence_stays_one_finding():
    """A name with a semicolon does not look like the next finding."""
    bundles = [opened(OTHER, n, 1, APP1) for n in range(1, 6)]
    clause, _ = connection_culprits.of_connections(bundles, lambda pid: Owner(pid, "a; b"), 5)
    assert clause == " (100% owned by a, b[1001])"


ADDRESSES = st.sampled_from([PEER, OTHER, bytes(16), bytes(8) + PEER * 2])
STATES = st.sampled_from(["ESTABLISHED", "LISTEN", "TIME_WAIT", "CLOSE_WAIT"])
HOLDERS = st.sampled_from([NOBODY, APP1, APP2, HIDDEN])
BUNDLES = st.lists(
    st.builds(accepted, st.integers(1, 5), ADDRESSES, st.integers(1, 9), HOLDERS, STATES)
    | st.builds(opened, ADDRESSES, st.integers(1, 5), st.integers(1, 9), HOLDERS, STATES),
    max_size=40,
)


@given(BUNDLES)
def test_shares_are_of_everything(bundles):
    """No list has more than all sockets, none is out of order, and nobody has more than is known."""
    clause, evidence = accused(*bundles)
    assert evidence["total"] == sum(b.sockets for b in bundles)
    for kind in ("ports", "remotes", "endpoints", "states", "owners"):
        counts = [entry["count"] for entry in evidence[kind]]
        assert counts == sorted(counts, reverse=True)
        assert sum(counts) <= evidence["total"]
        assert all(0 <= entry["percent"] <= 100 for entry in evidence[kind])
    assert clause == "" or (clause.startswith(" (") and clause.endswith(")") and ";" not in clause)


@given(BUNDLES)
def test_to_settle_makes_no_socket(bundles):
    """Each bundle keeps its sockets, and what is hidden stays so."""
    for before, after in zip(bundles, ownership.settled(bundles), strict=True):
        assert (after.sockets, after.owner_unknown) == (before.sockets, before.owner_unknown)
        assert after.without_owner in (0, before.without_owner)


def interface(name, *addresses, mbps=8.0):
    return Interface(Link(name, True, ipv4=addresses), tx_mbps=mbps, rx_mbps=mbps)


def rate(moves, way="outbound", carried=0):
    return connection_culprits.of_rate(interface("eth0"), way, moves, carried, named, {80}, 5)[0]


BULK = SocketTraffic(tcp(40000, OTHER, 873), 900, 1)


@pytest.mark.parametrize(
    ("moves", "carried", "clause"),
    [
        ([], 1000, ""),
        ([(BULK, 1001)], 0, " (100% by app1[1001] to 10.0.0.9:873)"),
        ([(BULK, 1001)], 1000, " (90% by app1[1001] to 10.0.0.9:873)"),
        ([(BULK, None)], 1000, " (90% to 10.0.0.9:873)"),
        ([(BULK, 1001)], 100_000, ""),
        (
            [(BULK, 1001), (SocketTraffic(tcp(80), 300, 0), 1002)],
            1200,
            " (75% by app1[1001] to 10.0.0.9:873, 25% by app2[1002] to 10.0.0.7)",
        ),
        (
            [(SocketTraffic(tcp(80, bytes([10, 0, 1, n])), 100, 0), 1002) for n in range(5)],
            0,
            " (100% by app2[1002] to 5 peers)",
        ),
    ],
)
def test_rates_are_explained(moves, carried, clause):
    """By who sent the bytes and where to, as shares of all that the interface carried."""
    assert rate(moves, carried=carried) == clause


def test_bytes_belong_to_the_interface_of_their_address():
    """By the local address; what stays on the host is loopback's; a bridge's port may have had any."""
    moves = [
        SocketTraffic(tcp(1, PEER), 1, 1),
        SocketTraffic(tcp(1, HOST), 1, 1),
        SocketTraffic(tcp(1, bytes([127, 0, 0, 1])), 1, 1),
        SocketTraffic(tcp(1, PEER, local=OTHER), 1, 1),
    ]
    interfaces = [interface("eth0", "10.0.0.1"), interface("port"), interface("lo", "127.0.0.1")]
    assert connection_culprits.routed(moves, interfaces) == {"eth0": [0], "port": [0, 3], "lo": [1, 2]}


def test_listeners_are_named_by_what_they_refused():
    """New refusals decide; a full queue does where nothing was refused lately; else nobody is named."""
    one, two = (
        listener(80, 11, cookie=1, waiting=3, backlog=2),
        listener(81, 12, cookie=2, waiting=1, backlog=9),
    )
    new = loss_culprits.new_since({2: 5}, {1: 1, 2: 8})
    pids = [1001, 1002]
    assert loss_culprits.of_listeners([one, two], new, pids, named, 5)[0] == (
        " (75% on :81 owned by app2[1002], 1 waiting of 9)"
    )
    nothing = loss_culprits.new_since({}, {})
    assert loss_culprits.of_listeners([one, two], nothing, pids, named, 5)[0] == (
        " (on :80 owned by app1[1001], 3 waiting of 2)"
    )
    assert loss_culprits.of_listeners([two], nothing, [1002], named, 5)[0] == ""


@pytest.mark.parametrize(
    ("before", "after", "clause"),
    [
        ({}, {"rx_crc": 3}, " (rx_crc)"),
        ({"rx_crc": 3}, {"rx_crc": 4, "rx_missed": 9}, " (rx_missed 9, rx_crc 1)"),
        ({"rx_crc": 3}, {"rx_crc": 3}, ""),
        ({"rx_crc": 3}, {"rx_crc": 2}, " (rx_crc)"),
    ],
)
def test_kinds_are_those_that_are_new(before, after, clause):
    """Only what was counted since; a counter that went back began anew."""
    assert loss_culprits.of_kinds("eth0", loss_culprits.new_since(before, after))[0] == clause


def test_bytes_are_differences_by_cookie():
    """Open, new, closed and reset sockets: each counts what it moved in the window, once."""
    before = {n: BYTE_COUNTER.pack(100, 50, 11) for n in (1, 2, 3)}
    now = [
        tcp(1, cookie=1, sent=150, received=50),
        tcp(3, cookie=3, sent=10, received=0),
        tcp(4, cookie=4, sent=7, received=0),
    ]
    closed = [tcp(2, cookie=2, sent=100, received=90, inode=0, state="CLOSE")]
    moved = process_traffic.moved(before, {}, [*now, *closed])
    assert {m.socket.cookie: (m.sent, m.received) for m in moved} == {1: (50, 0), 2: (0, 40), 4: (7, 0)}
    assert next(m for m in moved if m.socket.cookie == 2).socket.inode == 11


def test_a_socket_that_went_without_a_word_is_kept_for_one_window():
    """The word comes later, and must not count again what was counted before."""
    first = {1: BYTE_COUNTER.pack(100, 0, 11)}
    gone = process_traffic.remember(first, {}, [])
    assert gone == first
    late = tcp(1, cookie=1, sent=130, inode=0, state="CLOSE")
    assert [(m.sent, m.socket.inode) for m in process_traffic.moved({}, gone, [late])] == [(30, 11)]
    assert process_traffic.remember(first, {}, [late]) == {}
    assert process_traffic.remember(first, first, []) == {}


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99), st.integers(0, 99)), max_size=20))
def test_what_is_attributed_and_what_is_not_add_up(rows):
    """The entries of a report have all bytes, those that are nobody's in the last one."""
    moves = [SocketTraffic(tcp(n), sent, received) for n, sent, received in rows]
    pids = [n % 3 or None for n, _, _ in rows]
    seen = process_traffic.of_processes(moves, pids, 2.0, (500, 40), True)
    entries = network_metrics(seen, {})
    assert sum(e["net_tx_bytes"] for e in entries) == max(500, sum(m.sent for m in moves))
    assert sum(e["net_rx_bytes"] for e in entries) == max(40, sum(m.received for m in moves))
    assert sum(e["sockets"] for e in entries) == len(rows)
    assert 0 <= seen.coverage_percent <= 100
    assert entries[-1]["net_tx_bytes"] >= 0
