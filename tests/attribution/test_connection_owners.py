"""Owners in the clause about connections: within the host, shared sockets, several processes of one port."""

import ipaddress
from collections import Counter
from dataclasses import replace

import pytest

from network_health.attribution import (
    connection_culprits,
    evidence,
    missing_owners,
    ownership,
    process_traffic,
)
from network_health.model import ANOTHER_PROCESS, Owner, ProcessTraffic, Socket, SocketGroup, SocketTraffic
from network_health.reporting.network import network_metrics
from network_health.sources.linux import SocketListing

ANY, HOST, LOOPBACK, PEER, PEER2 = (
    ipaddress.ip_address(text).packed for text in ("0.0.0.0", "10.0.0.1", "127.0.0.1", "10.0.0.7", "10.0.0.9")
)
LOOPBACK6 = ipaddress.ip_address("::1").packed
NAMES = {1: "systemd", 6: "flood", 12: "starter", 14: "background", 77: "app"}
#: Processes as owners of a group; `NOBODY` has them open, or one that is not visible.
NOBODY, HIDDEN = None, {}


def owner_of(holders):
    first, *others = (Owner(pid, NAMES.get(pid, "worker")) for pid in holders)
    return replace(first, shared_with=tuple(others))


def group(state, local, remote, count, owners, protocol="tcp"):
    without_owner = count if owners is NOBODY else 0
    return SocketGroup(protocol, state, *local, *remote, count, without_owner, owners or {})


def listening(port, *holders, address=ANY):
    return group("LISTEN", (address, port), (bytes(len(address)), 0), len(holders), dict.fromkeys(holders, 1))


def accepted(port, count, owners, remote=PEER, local=HOST, state="ESTABLISHED"):
    return group(state, (local, port), (remote, 0), count, owners)


def opened(port, count, owners, remote=PEER, local=HOST, state="ESTABLISHED"):
    return group(state, (local, 0), (remote, port), count, owners)


def clause(*groups):
    return connection_culprits.of_connections(groups, owner_of, 5)[0]


LOCAL = {"remote": LOOPBACK, "local": LOOPBACK}


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (  # one process floods itself
            [
                listening(8123, (77,)),
                accepted(8123, 9, {(77,): 9}, **LOCAL),
                opened(8123, 9, {(77,): 9}, **LOCAL),
            ],
            " (100% on :8123 owned by app[77])",
        ),
        (
            [
                listening(8123, (77,)),
                accepted(8123, 9, {(77,): 9}, **LOCAL),
                opened(8123, 9, {(6,): 9}, **LOCAL),
            ],
            " (100% on :8123 owned by app[77], 47% opened by flood[6])",
        ),
        (  # over an address of the host
            [
                listening(8123, (77,)),
                accepted(8123, 9, {(77,): 9}, remote=HOST),
                opened(8123, 9, {(6,): 9}, remote=HOST),
            ],
            " (100% on :8123 owned by app[77], 47% opened by flood[6])",
        ),
        (  # from another address of the host: the accepted end says that it is the host's
            [
                listening(8123, (77,)),
                accepted(8123, 9, {(77,): 9}, remote=PEER, local=HOST),
                opened(8123, 9, {(6,): 9}, remote=HOST, local=PEER),
            ],
            " (100% on :8123 owned by app[77], 47% opened by flood[6])",
        ),
        (  # several open them, none of them most
            [
                listening(8123, (77,)),
                accepted(8123, 8, {(77,): 8}, **LOCAL),
                opened(8123, 8, {(6,): 4, (12,): 4}, **LOCAL),
            ],
            " (100% on :8123 owned by app[77])",
        ),
        (  # IPv6, and nothing is accepted yet
            [
                listening(8123, (77,), address=bytes(16)),
                accepted(8123, 9, NOBODY, remote=LOOPBACK6, local=LOOPBACK6),
                opened(8123, 9, {(6,): 9}, remote=LOOPBACK6, local=LOOPBACK6),
            ],
            " (100% on :8123 owned by app[77], 47% opened by flood[6])",
        ),
        (  # no process listens any more
            [opened(8123, 9, {(6,): 9}, **LOCAL)],
            " (100% to 127.0.0.1:8123 owned by flood[6])",
        ),
        (  # the same port on another host
            [listening(443, (77,)), opened(443, 19, {(6,): 19})],
            " (95% to 10.0.0.7:443 owned by flood[6])",
        ),
        (  # the remote address with most sockets is of this host; another one is named
            [
                listening(8123, (77,)),
                accepted(8123, 5, {(77,): 5}, **LOCAL),
                opened(8123, 5, {(77,): 5}, **LOCAL),
                accepted(8123, 3, {(77,): 3}),
            ],
            " (100% on :8123 owned by app[77], 21% from 10.0.0.7)",
        ),
    ],
)
def test_both_ends_of_a_connection_within_the_host_count_for_its_port(groups, text):
    """The clause names the port, its process, and who opened most of the connections if it is another one."""
    assert clause(*groups) == text


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        (  # socket activation: the supervisor only keeps the listener open
            [listening(80, (1, 77)), accepted(80, 9, {(77,): 9})],
            " (100% on :80 owned by app[77], 90% from 10.0.0.7)",
        ),
        (  # connections that are not accepted yet belong to the process that accepts
            [listening(80, (1, 77)), accepted(80, 1, {(77,): 1}), accepted(80, 9, NOBODY, state="SYN_RECV")],
            " (100% on :80 owned by app[77], 82% SYN_RECV, 91% from 10.0.0.7)",
        ),
        (  # also connections that are closed by now may have been those of any worker
            [
                listening(80, (1, 12, 101, 102)),
                accepted(80, 1, {(101,): 1}),
                accepted(80, 9, NOBODY, state="TIME_WAIT"),
            ],
            " (100% on :80 owned by worker[101] or 2 others, 82% TIME_WAIT, 91% from 10.0.0.7)",
        ),
        (  # nothing tells which of the two will accept
            [listening(80, (1, 77)), accepted(80, 9, NOBODY)],
            " (100% on :80 owned by systemd[1] or app[77], 90% from 10.0.0.7)",
        ),
        (  # a process for each connection
            [listening(80, (1,)), accepted(80, 4, {(n,): 1 for n in range(101, 105)})],
            " (100% on :80 owned by worker[101] and others, 80% from 10.0.0.7)",
        ),
        (  # several listeners on one port
            [listening(80, (101,), (102,)), accepted(80, 10, {(101,): 6, (102,): 4})],
            " (100% on :80 owned by worker[101] and others, 83% from 10.0.0.7)",
        ),
        (  # nine of ten are enough
            [opened(443, 10, {(77,): 9, (6,): 1})],
            " (100% to 10.0.0.7:443 owned by app[77])",
        ),
        ([opened(443, 10, {(77,): 8, (6,): 2})], " (100% to 10.0.0.7:443 owned by app[77] and others)"),
        ([opened(443, 10, {(77,): 8})], " (100% to 10.0.0.7:443 owned by app[77] and others)"),
        ([opened(443, 10, {(12, 14): 10})], " (100% to 10.0.0.7:443 owned by starter[12] or background[14])"),
        (  # the one with sockets of its own comes first
            [opened(443, 10, {(12, 14): 10}), opened(444, 1, {(14,): 1}, remote=PEER2)],
            " (91% to 10.0.0.7:443 owned by background[14] or starter[12])",
        ),
        ([opened(443, 10, {(12, 14, 77, 6): 10})], " (100% to 10.0.0.7:443 owned by flood[6] or 3 others)"),
        (
            [opened(443, 10, {tuple(range(101, 109)): 10})],
            " (100% to 10.0.0.7:443 owned by worker[101] or at least 7 others)",
        ),
        (  # each child has the sockets that were open when it was forked
            [opened(443, 3, {(12,): 1, (12, 14): 1, (12, 14, 77): 1})],
            " (100% to 10.0.0.7:443 owned by starter[12] or 2 others)",
        ),
        (  # fewer than a tenth of the sockets are shared
            [opened(443, 20, {(12,): 19, (12, 14): 1})],
            " (100% to 10.0.0.7:443 owned by starter[12])",
        ),
    ],
)
def test_no_process_is_named_alone_for_what_it_may_not_have(groups, text):
    """Who shares sockets, or has a part of them, is in the clause."""
    assert clause(*groups) == text


def test_the_evidence_has_who_shares_and_who_opened():
    """With the count and the share of the sockets that were opened."""
    groups = [
        listening(8123, (1, 77)),
        accepted(8123, 9, NOBODY, **LOCAL),
        opened(8123, 9, {(6,): 9}, **LOCAL),
        opened(443, 1, {(12,): 1}),
    ]
    _, found = connection_culprits.of_connections(groups, owner_of, 5)
    systemd, app, flood = ({"pid": pid, "name": NAMES[pid], "user": None} for pid in (1, 77, 6))
    shared = systemd | {"shared_with": [app]}
    port = {"port": 8123, "protocol": "tcp", "count": 19, "percent": 95.0} | shared
    assert found["ports"] == [port | {"opened_by": flood | {"count": 9, "percent": 45.0}}]
    assert [(each["pid"], each["count"]) for each in found["owners"]] == [(1, 10), (6, 9), (12, 1)]


def socket(n, state="ESTABLISHED", port=40000, remote_port=873, inode=None):
    return Socket(state, HOST, port, PEER, remote_port, n if inode is None else inode, n)


def test_the_owners_of_traffic():
    """Shared sockets have all their processes, those of an ended process none, unknown ones are unknown."""
    sockets = [
        *[socket(1), socket(2), socket(3, "CLOSE"), socket(4)],
        *[socket(5, port=80), socket(6, port=80, inode=0)],
    ]
    listener = Socket("LISTEN", ANY, 80, ANY, 0, 9, 9)
    pids = {1: (12, 14), 2: (14,), 3: (), 5: (77,), 9: (1, 77)}
    found = ownership.owners_of(sockets, pids, [listener], [])
    assert found == [(14, 12), (14,), (), None, (77,), (77,)]


def test_traffic_of_a_closed_connection_may_be_that_of_another_process():
    """A process with a connection to the same endpoint is named beside it, but has no bytes of it."""
    sockets = [socket(1), socket(2, "CLOSE", inode=0)]
    found = ownership.owners_of(sockets, {1: (12,)}, [], [])
    assert found == [(12,), (12, ANOTHER_PROCESS)]
    owned = [(SocketTraffic(each, 10, 0), pids) for each, pids in zip(sockets, found, strict=True)]
    seen = process_traffic.by_process(owned, 1.0, (20, 0), True)
    assert (seen.processes, seen.unattributed_sockets) == ((ProcessTraffic(12, 10, 0, 1),), 1)


def test_shared_traffic_is_reported_once():
    """The entry of the first process has the others; traffic of an ended process is unattributed."""
    traffic = [((12, 14), 50), ((12,), 50), ((14,), 10), ((), 5), (None, 5)]
    owned = [(SocketTraffic(socket(n), octets, 0), pids) for n, (pids, octets) in enumerate(traffic)]
    seen = process_traffic.by_process(owned, 1.0, (120, 0), True)
    assert seen.processes == (ProcessTraffic(12, 100, 0, 2, (14,)), ProcessTraffic(14, 10, 0, 1))
    entries = network_metrics(seen, {})
    assert [(each["pid"], each["net_tx_bytes"], each.get("shared_with")) for each in entries] == [
        (12, 100, [14]),
        (14, 10, None),
        (None, 10, None),
    ]


def test_a_process_that_has_ended_has_no_pid():
    """The pid may belong to another process by now."""
    assert evidence.owner_text(evidence.owner_fields(Owner(None))) == "a process that has ended"


HIDDEN_GROUPS = (accepted(80, 20, HIDDEN), accepted(80, 80, NOBODY, state="TIME_WAIT"))


@pytest.mark.parametrize(
    ("listing", "note"),
    [
        (SocketListing(HIDDEN_GROUPS, users=Counter({(0, 0): 10})), missing_owners.NOT_HELD),
        (SocketListing(HIDDEN_GROUPS, users=Counter({(0, 0): 9})), ""),
        (SocketListing(HIDDEN_GROUPS), ""),
        (SocketListing(HIDDEN_GROUPS, True, users=Counter({(0, 0): 20})), missing_owners.ACCESS_DENIED),
        (SocketListing(HIDDEN_GROUPS, timed_out=True), missing_owners.TIMED_OUT),
        (SocketListing(HIDDEN_GROUPS[1:], True, True), ""),
    ],
)
def test_the_note_counts_sockets_that_are_still_open(listing, note, monkeypatch):
    """A tenth of all sockets must be open in a process after the search; TIME_WAIT is in none."""
    monkeypatch.setattr(missing_owners.linux, "read_obstacle", lambda: None)
    assert missing_owners.note_of_sockets(listing) == note
