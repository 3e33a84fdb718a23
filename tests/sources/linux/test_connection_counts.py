"""Connections by state: recorded answers, totals that agree and totals that do not, and damaged answers."""

import struct
from collections import Counter
from dataclasses import replace

import pytest

from network_health.sources.linux import connection_counts, netlink, proc_sockets
from network_health.sources.linux.connection_counts import TcpTotals, by_state, count_sockets
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.inet_diag import STATES
from tests.sources.linux import recorded

ESTABLISHED, SYN_RECV, FIN_WAIT2, TIME_WAIT, CLOSE_WAIT, LISTEN = 1, 3, 5, 6, 8, 10
FULL, MARK, NONE = 8, 15, 0  # first attributes: INET_DIAG_SHUTDOWN, INET_DIAG_MARK, no attribute


def socket_message(state, attribute=FULL, *, family=2, kind=20, flags=2, body=72):
    """The message of one socket, with one attribute or none."""
    data = bytes([family, state]) + bytes(body - 2)
    if attribute:
        data += struct.pack("=HHI", 8, attribute, 0)
    return netlink.HEADER.pack(16 + len(data), kind, flags, 1, 0) + data


DONE = netlink.HEADER.pack(20, netlink.DONE, 2, 1, 0) + bytes(4)


def recorded_totals():
    names = ("snmp", "sockstat", "sockstat6")
    return connection_counts.parse_totals(*(recorded.text(f"sock_diag/{name}") for name in names))


def test_recorded_sockets_have_the_counts_of_ss(each_kernel):
    """A full dump of sockets in every state has the same counts as ``ss``."""
    tcp = recorded.parsed(count_sockets, Counter(), "sock_diag/every_state")
    udp = recorded.parsed(count_sockets, Counter(), "sock_diag/udp4", "sock_diag/udp6")
    states = Counter()
    for (state, _), count in tcp.items():
        states[STATES[state]] += count
    assert {**states, "NONE": udp.total()} == recorded.expected("sock_diag/ss")


def test_recorded_totals_fill_in_what_was_not_dumped(each_kernel):
    """With the kernel's totals, a dump without the two most frequent states has the same counts as ``ss``."""
    dumped = recorded.parsed(count_sockets, Counter(), "sock_diag/few_states")
    totals = recorded_totals()
    counts = by_state(totals, dumped, totals)
    expected = recorded.expected("sock_diag/ss")
    del expected["NONE"]
    assert {STATES[state]: count for state, count in counts.items()} == expected


def test_recorded_totals_with_and_without_close_wait(each_kernel):
    """Kernels before 6.10 without the fix have ESTABLISHED alone in CurrEstab: the counts are the same."""
    expected = recorded.expected("sock_diag/ss")
    totals = recorded_totals()
    assert totals.established == expected["ESTABLISHED"] + expected["CLOSE_WAIT"]
    dumped = recorded.parsed(count_sockets, Counter(), "sock_diag/few_states")
    older = replace(totals, established=expected["ESTABLISHED"])
    assert older != totals
    assert by_state(older, dumped, older) == by_state(totals, dumped, totals)


def test_recorded_totals_are_read():
    """Each of the four totals comes from its own column."""
    assert recorded_totals() == TcpTotals(established=9, in_use=22, time_wait=6, opened=25)


def test_more_sockets_than_one_datagram_holds_are_all_counted():
    """150 sockets come in several datagrams."""
    assert len(recorded.datagrams("sock_diag/many_udp4")) > 1
    assert recorded.parsed(count_sockets, Counter(), "sock_diag/many_udp4").total() == 150


def test_without_ipv6_there_is_no_sockstat6():
    """A kernel without IPv6 has no such file; its totals are those of IPv4."""
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
def test_missing_totals_are_an_error(name, old, new):
    """A file without one of the totals is an error, never a zero."""
    texts = {n: recorded.text(f"sock_diag/{n}") for n in ("snmp", "sockstat", "sockstat6")}
    assert old in texts[name]
    texts[name] = texts[name].replace(old, new)
    with pytest.raises(KernelFormatError, match="/proc/net/"):
        connection_counts.parse_totals(*texts.values())


def test_both_kinds_of_opening_are_counted():
    """Both outgoing and accepted connections are added to the number of opened ones."""
    snmp = "Ip: Forwarding\nIp: 1\nTcp: CurrEstab PassiveOpens ActiveOpens\nTcp: 5 30 200\nUdp: X\nUdp: 1\n"
    totals = connection_counts.parse_totals(
        snmp, "sockets: used 9\nTCP: inuse 7 orphan 1 tw 3\n", "TCP6: inuse 2\n"
    )
    assert totals == TcpTotals(established=5, in_use=9, time_wait=3, opened=230)


QUIET = TcpTotals(established=100, in_use=110, time_wait=50, opened=1000)
#: With `QUIET`: 97 ESTABLISHED, 3 in CLOSE_WAIT, 5 listening, 5 full and 2 other sockets in FIN_WAIT2.
DUMPED = Counter({(LISTEN, FULL): 5, (CLOSE_WAIT, FULL): 3, (FIN_WAIT2, FULL): 5, (FIN_WAIT2, NONE): 2})
DUMPED[SYN_RECV, MARK] = 9
EXPECTED = {ESTABLISHED: 97, SYN_RECV: 9, FIN_WAIT2: 7, TIME_WAIT: 48, CLOSE_WAIT: 3, LISTEN: 5}


@pytest.mark.parametrize(
    ("before", "dumped", "after", "expected"),
    [
        (QUIET, DUMPED, QUIET, EXPECTED),
        # before Linux 6.10, and 6.1.95, CurrEstab is ESTABLISHED alone
        (replace(QUIET, established=97), DUMPED, replace(QUIET, established=97), EXPECTED),
        # half open, but already a full socket (TCP Fast Open)
        (
            QUIET,
            DUMPED - Counter({(SYN_RECV, MARK): 1}) + Counter({(SYN_RECV, FULL): 1}),
            replace(QUIET, in_use=111),
            EXPECTED,
        ),
        # the totals do not agree, and nothing changed during the dump
        (replace(QUIET, established=98), DUMPED, replace(QUIET, established=98), None),
        (replace(QUIET, in_use=111), DUMPED, replace(QUIET, in_use=111), None),
        # four were opened meanwhile: the totals can differ by both ends of each
        (QUIET, DUMPED, replace(QUIET, in_use=114, opened=1004), {**EXPECTED, ESTABLISHED: 101}),
        (QUIET, DUMPED, replace(QUIET, in_use=140, opened=1004), {**EXPECTED, ESTABLISHED: 127}),
        (replace(QUIET, established=60), DUMPED, replace(QUIET, established=60, opened=1004), None),
        # three that were connecting are connected
        (QUIET, DUMPED, replace(QUIET, established=103), EXPECTED),
        # one was opened and closed meanwhile: no total changed, but they can differ
        (
            replace(QUIET, in_use=112),
            DUMPED,
            replace(QUIET, in_use=112, opened=1001),
            {**EXPECTED, ESTABLISHED: 99},
        ),
        # many were closed meanwhile: more were dumped than there are now
        (TcpTotals(0, 110, 50, 1000), DUMPED, TcpTotals(0, 10, 50, 1000), None),
        # more of one state were dumped than there are
        (QUIET, DUMPED, replace(QUIET, time_wait=1), None),
        (replace(QUIET, in_use=0), DUMPED, replace(QUIET, in_use=0), None),
        (TcpTotals(0, 0, 0, 0), Counter(), TcpTotals(0, 0, 0, 0), {ESTABLISHED: 0, TIME_WAIT: 0}),
    ],
)
def test_totals_are_used_if_they_agree(before, dumped, after, expected):
    """Totals are used if they agree, with a tolerance for what changed during the dump."""
    assert by_state(before, dumped, after) == expected


DAMAGED = {
    "nothing": b"",
    "another kind of message": socket_message(1, kind=16) + DONE,
    "a body that is too short": socket_message(1, NONE, body=71) + DONE,
    "a family that is not IP": socket_message(1, family=1) * 2,
    "a state that does not exist": socket_message(0) * 2,
    "a state that was not requested": socket_message(13),
    "an unknown state among known ones": socket_message(1) + socket_message(12) + socket_message(1),
    "an unknown family among known ones": socket_message(1) + socket_message(1, family=3) + socket_message(1),
    "another kind among sockets": socket_message(1) + socket_message(1, kind=16) + socket_message(1),
    "leftover": socket_message(1) * 3 + b"1234",
}


@pytest.mark.parametrize("datagram", DAMAGED.values(), ids=DAMAGED)
def test_damaged_answers_are_an_error(datagram):
    """A message that is not a requested socket is an error, anywhere in the datagram."""
    with pytest.raises(KernelFormatError):
        count_sockets(datagram, Counter())


@pytest.mark.parametrize("recording", ["every_state", "few_states", "udp4", "udp6", "many_udp4"])
def test_a_truncated_answer_is_never_complete(recording):
    """A truncated datagram gives the messages before the cut or an error, never the end of a dump."""
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
    """After a length that is not a multiple of four there is padding, which is not counted."""
    data = bytes([2, 1]) + bytes(70) + struct.pack("=HHB", 5, FULL, 0)
    message = netlink.HEADER.pack(16 + len(data), 20, 2, 1, 0) + data + bytes(3)
    sockets = Counter()
    assert count_sockets(message * count + DONE, sockets) is True
    assert sockets == {(ESTABLISHED, FULL): count}


def test_an_interrupted_dump_is_no_result():
    """Sockets of an interrupted dump are not counted, also not in datagrams with messages of equal length."""
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
def test_tw_is_used_only_if_it_is_per_namespace(release, expected):
    """Old kernels count the TIME_WAIT sockets of all namespaces together."""
    assert connection_counts._tw_is_per_namespace(release) is expected


@pytest.mark.parametrize(
    ("protocol", "line", "state"),
    [
        ("tcp", "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000", "LISTEN"),
        ("tcp", "1: 0100007F:1F90 0100007F:C001 0C 0", "SYN_RECV"),
        ("udp", "  7: 00000000:14E9 00000000:0000 07 0", "NONE"),
    ],
)
def test_a_line_of_proc_has_the_state_of_its_socket(protocol, line, state):
    """The state is in hexadecimal; a half-open connection may have the kernel's internal state 12."""
    assert proc_sockets.parse_state(protocol, line) == state


@pytest.mark.parametrize("line", ["", "0: a b", "0: a b zz", "0: a b FF 1"])
def test_an_unknown_line_of_proc_is_an_error(line):
    """A line without a known state is refused with one error."""
    with pytest.raises(KernelFormatError):
        proc_sockets.parse_state("tcp", line)
