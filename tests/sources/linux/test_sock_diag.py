"""Connections by state: recorded answers, accounts that agree and that do not, and damage."""

import struct
from collections import Counter
from dataclasses import replace

import pytest

from network_health.sources.linux import connection_counts, netlink
from network_health.sources.linux.connection_counts import TcpTotals, by_state, count_sockets
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.inet_diag import STATES
from tests.sources.linux import recorded

ESTABLISHED, SYN_RECV, FIN_WAIT2, TIME_WAIT, CLOSE_WAIT, LISTEN = 1, 3, 5, 6, 8, 10
WHOLE, MARK, NONE = 8, 15, 0  # types of a first attribute


def socket_message(state, attribute=WHOLE, *, family=2, kind=20, flags=2, body=72):
    """One socket as the kernel describes it, with one attribute or none."""
    data = bytes([family, state]) + bytes(body - 2)
    if attribute:
        data += struct.pack("=HHI", 8, attribute, 0)
    return netlink.HEADER.pack(16 + len(data), kind, flags, 1, 0) + data


DONE = netlink.HEADER.pack(20, netlink.DONE, 2, 1, 0) + bytes(4)


def recorded_totals():
    names = ("snmp", "sockstat", "sockstat6")
    return connection_counts.parse_totals(*(recorded.text(f"sock_diag/{name}") for name in names))


def test_recorded_sockets_are_what_ss_said():
    """A full dump of sockets in every state has the counts of ``ss``."""
    tcp = recorded.parsed(count_sockets, Counter(), "sock_diag/every_state")
    udp = recorded.parsed(count_sockets, Counter(), "sock_diag/udp4", "sock_diag/udp6")
    states = Counter()
    for (state, _), count in tcp.items():
        states[STATES[state]] += count
    assert {**states, "NONE": udp.total()} == recorded.said("sock_diag/ss")


def test_recorded_totals_fill_in_what_was_not_dumped():
    """The dump without the two big states and the kernel's accounts have the same counts."""
    few = recorded.parsed(count_sockets, Counter(), "sock_diag/few_states")
    accounts = recorded_totals()
    counts = by_state(accounts, few, accounts)
    expected = recorded.said("sock_diag/ss")
    del expected["NONE"]
    assert {STATES[state]: count for state, count in counts.items()} == expected


def test_recorded_totals_are_read():
    """The four figures come from their own columns."""
    assert recorded_totals() == TcpTotals(established=9, in_use=22, time_wait=6, opened=25)


def test_more_sockets_than_one_datagram_holds_are_all_counted():
    """150 sockets come in several datagrams."""
    assert len(recorded.datagrams("sock_diag/many_udp4")) > 1
    assert recorded.parsed(count_sockets, Counter(), "sock_diag/many_udp4").total() == 150


def test_without_ipv6_there_is_no_sockstat6():
    """A kernel without IPv6 has no such file; its sockets are those of IPv4."""
    with_ipv6 = recorded_totals()
    names = ("snmp", "sockstat")
    without = connection_counts.parse_totals(*(recorded.text(f"sock_diag/{name}") for name in names), "")
    assert (without.established, without.time_wait) == (with_ipv6.established, with_ipv6.time_wait)
    assert 0 < without.in_use < with_ipv6.in_use


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("snmp", "CurrEstab", "Other"),
        ("snmp", "ActiveOpens", "Other"),
        ("snmp", "Tcp: 1", "Tcp: one"),
        ("snmp", "Tcp:", "Udp:"),
        ("sockstat", " tw ", " wt "),
        ("sockstat", "TCP: inuse", "TCP: used"),
        ("sockstat6", "TCP6: inuse", "TCP6: used"),
        ("sockstat6", "TCP6: inuse", "Other: inuse"),
        ("sockstat6", "TCP6: inuse", "TCP6: inuse 1"),
    ],
)
def test_accounts_that_are_missing_are_named(name, old, new):
    """A file without a figure is an error, never a zero."""
    texts = {n: recorded.text(f"sock_diag/{n}") for n in ("snmp", "sockstat", "sockstat6")}
    assert old in texts[name]
    texts[name] = texts[name].replace(old, new)
    with pytest.raises(KernelFormatError, match="/proc/net/"):
        connection_counts.parse_totals(*texts.values())


def test_both_kinds_of_opening_are_counted():
    """Connections opened here and accepted from elsewhere are what may have moved."""
    snmp = "Ip: Forwarding\nIp: 1\nTcp: CurrEstab PassiveOpens ActiveOpens\nTcp: 5 30 200\nUdp: X\nUdp: 1\n"
    accounts = connection_counts.parse_totals(
        snmp, "sockets: used 9\nTCP: inuse 7 orphan 1 tw 3\n", "TCP6: inuse 2\n"
    )
    assert accounts == TcpTotals(established=5, in_use=9, time_wait=3, opened=230)


QUIET = TcpTotals(established=100, in_use=110, time_wait=50, opened=1000)
#: With `QUIET`: 97 + 3 in CLOSE_WAIT, 5 listen, 5 whole and 2 waiting in FIN_WAIT2.
FEW = Counter({(LISTEN, WHOLE): 5, (CLOSE_WAIT, WHOLE): 3, (FIN_WAIT2, WHOLE): 5, (FIN_WAIT2, NONE): 2})
FEW[SYN_RECV, MARK] = 9
EXPECTED = {
    ESTABLISHED: 97,
    SYN_RECV: 9,
    FIN_WAIT2: 7,
    TIME_WAIT: 48,
    CLOSE_WAIT: 3,
    LISTEN: 5,
}


@pytest.mark.parametrize(
    ("before", "few", "after", "expected"),
    [
        (QUIET, FEW, QUIET, EXPECTED),
        # before Linux 6.10 CurrEstab is ESTABLISHED alone
        (replace(QUIET, established=97), FEW, replace(QUIET, established=97), EXPECTED),
        # half open, but a whole socket already (TCP Fast Open)
        (
            QUIET,
            FEW - Counter({(SYN_RECV, MARK): 1}) + Counter({(SYN_RECV, WHOLE): 1}),
            replace(QUIET, in_use=111),
            EXPECTED,
        ),
        # the accounts contradict each other, and nothing moved
        (replace(QUIET, established=98), FEW, replace(QUIET, established=98), None),
        (replace(QUIET, in_use=111), FEW, replace(QUIET, in_use=111), None),
        # four were opened meanwhile: the accounts may be off by as many, and their ends
        (QUIET, FEW, replace(QUIET, in_use=114, opened=1004), {**EXPECTED, ESTABLISHED: 101}),
        (QUIET, FEW, replace(QUIET, in_use=140, opened=1004), {**EXPECTED, ESTABLISHED: 127}),
        (replace(QUIET, established=60), FEW, replace(QUIET, established=60, opened=1004), None),
        # three that were connecting are connected
        (QUIET, FEW, replace(QUIET, established=103), EXPECTED),
        # one was opened and closed meanwhile: neither account moved, but they may differ
        (
            replace(QUIET, in_use=112),
            FEW,
            replace(QUIET, in_use=112, opened=1001),
            {**EXPECTED, ESTABLISHED: 99},
        ),
        # so many were closed that more were dumped than there are
        (TcpTotals(0, 110, 50, 1000), FEW, TcpTotals(0, 10, 50, 1000), None),
        # more of a kind was dumped than there is
        (QUIET, FEW, replace(QUIET, time_wait=1), None),
        (replace(QUIET, in_use=0), FEW, replace(QUIET, in_use=0), None),
        (TcpTotals(0, 0, 0, 0), Counter(), TcpTotals(0, 0, 0, 0), {ESTABLISHED: 0, TIME_WAIT: 0}),
    ],
)
def test_accounts_count_when_they_agree(before, few, after, expected):
    """TcpTotals are believed as far as they agree, give or take what moved while the dump was made."""
    assert by_state(before, few, after) == expected


DAMAGED = {
    "nothing": b"",
    "another kind of message": socket_message(1, kind=16) + DONE,
    "a body that is too short": socket_message(1, NONE, body=71) + DONE,
    "a family that is no IP": socket_message(1, family=1) * 2,
    "a state that is none": socket_message(0) * 2,
    "a state that was not asked for": socket_message(13),
    "an unknown state among known ones": socket_message(1) + socket_message(12) + socket_message(1),
    "an unknown family among known ones": socket_message(1) + socket_message(1, family=3) + socket_message(1),
    "another kind among sockets": socket_message(1) + socket_message(1, kind=16) + socket_message(1),
    "leftover": socket_message(1) * 3 + b"1234",
}


@pytest.mark.parametrize("datagram", DAMAGED.values(), ids=DAMAGED)
def test_damaged_answers_are_named(datagram):
    """What is no socket of the kinds asked for is an error, wherever it stands."""
    with pytest.raises(KernelFormatError):
        count_sockets(datagram, Counter())


@pytest.mark.parametrize("recording", ["every_state", "few_states", "udp4", "udp6", "many_udp4"])
def test_a_truncated_answer_never_looks_whole(recording):
    """Cut anywhere, a datagram gives what is before the cut or an error, but never the end of a dump."""
    for datagram in recorded.datagrams(f"sock_diag/{recording}"):
        whole = Counter()
        count_sockets(datagram, whole)
        starts = [start - 16 for _, start, _ in netlink.messages(datagram)]
        for cut in range(len(datagram)):
            part = Counter()
            try:
                assert count_sockets(datagram[:cut], part) is False
            except KernelFormatError:
                continue
            assert cut in starts
            assert part <= whole


@pytest.mark.parametrize("count", [1, 2, 3])
def test_messages_of_odd_length_are_padded(count):
    """A length that is no multiple of four is followed by padding, which is no message."""
    data = bytes([2, 1]) + bytes(70) + struct.pack("=HHB", 5, WHOLE, 0)
    message = netlink.HEADER.pack(16 + len(data), 20, 2, 1, 0) + data + bytes(3)
    sockets = Counter()
    assert count_sockets(message * count + DONE, sockets) is True
    assert sockets == {(ESTABLISHED, WHOLE): count}


def test_an_interrupted_dump_is_no_result():
    """Sockets marked as those of an interrupted dump are not counted, in even datagrams either."""
    with pytest.raises(InterruptedError):
        count_sockets(socket_message(1, flags=2 | 16) * 3, Counter())


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("6.18.44-generic", True),
        ("5.15", True),
        ("4.14.0-1-amd64", True),
        ("4.13.16", False),
        ("3.10.0-1160.el7.x86_64", False),
        ("unknown", False),
        ("", False),
    ],
)
def test_tw_is_trusted_where_it_is_a_namespaces_own(release, expected):
    """Old kernels count the TIME_WAIT sockets of all namespaces together."""
    assert connection_counts._tw_is_per_namespace(release) is expected
