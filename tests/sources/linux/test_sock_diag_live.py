"""Connections on a real kernel, in namespaces of their own; ``ss`` and psutil are the referees."""

import ctypes
import os
import resource
import socket
import subprocess
import threading
from types import SimpleNamespace

import pytest

from network_health.sources.linux import connection_counts, inet_diag, netlink
from network_health.sources.linux.inet_diag import STATES
from tests.sources.linux import referees
from tests.sources.linux.tun_peer import EVERY_STATE, Peer, every_state

pytestmark = pytest.mark.root

CLONE_NEWNS = 0x00020000
#: The states of a full dump, and of one without ESTABLISHED and TIME_WAIT.
ALL, FEW = 0xFFE, 0xFBC
FAST_OPEN = 23  # TCP_FASTOPEN
#: Client and server, and no cookie is asked for.
FAST_OPEN_SYSCTL = "0x603"


def by_status():
    return dict(connection_counts.read_connections().by_status)


def asked(work):
    """What ``work`` returns, and the states of TCP that it dumped."""
    states = []
    dump = netlink.dump

    def listen(protocol, request, *rest):
        if len(request) == 16 + 60:  # inet_diag_req, which has the states before its last word
            states.append(int.from_bytes(request[-8:-4], "little"))
        return dump(protocol, request, *rest)

    netlink.dump = listen
    try:
        return work(), states
    finally:
        netlink.dump = dump


def test_every_state_is_counted_as_ss_and_psutil_count_it(namespace):
    """Sockets of both families in every state, mapped, dual stack and bound only, without a full dump."""

    def watch():
        peer = Peer()
        every_state(peer)
        found = [
            referees.at_one_moment(referee, lambda: asked(by_status))
            for referee in (referees.sockets, referees.sockets_of_psutil)
        ]
        peer.close()
        return found

    for (seen, states), expected in namespace().call(watch):
        assert seen == expected == EVERY_STATE
        assert states == [FEW]


def test_a_full_dump_counts_the_same(namespace):
    """Where the accounts are not to be had, every socket is dumped, and the counts are the same."""

    def watch():
        peer = Peer()
        every_state(peer)
        expected = referees.sockets()
        assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0  # nobody else is to miss /proc
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/proc"], check=True)
        seen = asked(by_status)
        peer.close()
        return seen, expected

    (seen, states), expected = namespace().call(watch)
    assert seen == expected == EVERY_STATE
    assert states == [ALL]


def test_accounts_that_are_refused_are_done_without(namespace, monkeypatch):
    """Where the kernel lets nobody read the accounts, every socket is dumped."""

    def refuse(name):
        raise PermissionError(name)

    monkeypatch.setattr(connection_counts.proc_net, "read_net", refuse)

    def watch():
        peer = Peer()
        every_state(peer)
        found = asked(by_status)
        peer.close()
        return found

    assert namespace().call(watch) == (EVERY_STATE, [ALL])


def test_an_old_kernel_is_not_asked_for_its_accounts(namespace, monkeypatch):
    """Where TIME_WAIT is counted over all namespaces together, every socket is dumped."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release="4.9.0"))

    def watch():
        peer = Peer()
        every_state(peer)
        found = asked(by_status)
        peer.close()
        return found

    assert namespace().call(watch) == (EVERY_STATE, [ALL])


def test_accounts_that_disagree_are_not_believed(namespace):
    """A kernel whose accounts are off by one socket is dumped whole: the counts are right all the same."""
    read = connection_counts._read_totals

    def off_by_one():
        accounts = read()
        return connection_counts.TcpTotals(
            accounts.established + 1, accounts.in_use, accounts.time_wait, accounts.opened
        )

    def watch():
        peer = Peer()
        every_state(peer)
        connection_counts._read_totals = off_by_one
        found = asked(by_status)
        peer.close()
        return found

    seen, states = namespace().call(watch)
    assert seen == EVERY_STATE
    assert states[-1] == ALL


def test_half_open_sockets_of_fast_open_are_told_apart(namespace):
    """A half-open connection that is a socket already is in an account that others are not in."""
    host = namespace()
    host.sysctl("net.ipv4.tcp_fastopen", FAST_OPEN_SYSCTL)

    def watch():
        peer = Peer()
        for family in (socket.AF_INET, socket.AF_INET6):
            listener = peer.listen(family)
            listener.setsockopt(socket.IPPROTO_TCP, FAST_OPEN, 16)
            peer.syn_recv(family, listener, b"early")
            peer.syn_recv(family, listener)
            # as many as above: the two ways to count CurrEstab must not be mistaken for each other
            peer.close_wait(family)
        found = referees.at_one_moment(referees.sockets_of_psutil, lambda: asked(by_status))
        peer.close()
        return found

    (seen, states), expected = host.call(watch)
    assert seen == expected == {"LISTEN": 2, "SYN_RECV": 4, "CLOSE_WAIT": 2}
    assert states == [FEW]


def test_a_socket_that_changed_its_family_is_counted_once(namespace):
    """An IPv6 socket turned into an IPv4 one moves from one account to the other."""

    def watch():
        peer = Peer()
        client, _, _ = peer.established(socket.AF_INET, mapped=True)
        before = by_status()
        client.setsockopt(socket.IPPROTO_IPV6, 1, int(socket.AF_INET))  # IPV6_ADDRFORM
        found = before, asked(by_status), referees.sockets()
        peer.close()
        return found

    before, (seen, states), expected = namespace().call(watch)
    assert before == seen == expected == {"ESTABLISHED": 1}
    assert states == [FEW]


def test_no_sockets_are_no_counts(namespace):
    """An empty namespace has no states at all, as psutil lists none."""
    seen, expected = namespace().call(lambda: (by_status(), referees.sockets_of_psutil()))
    assert seen == expected == {}


def test_namespaces_are_counted_apart(namespace):
    """Sockets and accounts are those of the namespace that the calling thread is in."""
    other = namespace()

    def watch():
        peer = Peer()
        peer.established(socket.AF_INET)
        seen = {}

        def elsewhere():
            other.enter()
            with socket.create_server(("127.0.0.1", 0)) as listener:
                clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
                seen["there"] = asked(by_status)
                for client in clients:
                    client.close()

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        seen["here"] = asked(by_status)
        peer.close()
        return seen

    seen = namespace().call(watch)
    assert seen["here"][0] == {"ESTABLISHED": 1}
    assert seen["there"][0] == {"LISTEN": 1, "ESTABLISHED": 6}
    assert seen["here"][1] == seen["there"][1] == [FEW]


def test_every_socket_of_many_is_counted(namespace):
    """A thousand connections and hundreds of TIME_WAIT, by accounts and by a dump of many datagrams."""

    def watch():
        resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
            pairs = [
                (socket.create_connection(listener.getsockname()), listener.accept()[0]) for _ in range(1000)
            ]
            for client, server in pairs[:300]:
                client.close()
                server.close()
            seen, expected = referees.at_one_moment(referees.sockets, by_status)
            full = connection_counts._states(connection_counts._dump(inet_diag.tcp_request(inet_diag.ALL)))
            for client, server in pairs[300:]:
                client.close()
                server.close()
        return seen, expected, {STATES[state]: count for state, count in full.items()}

    seen, expected, full = namespace().call(watch)
    assert seen == expected == full == {"LISTEN": 1, "ESTABLISHED": 1400, "TIME_WAIT": 300}


def test_a_refusal_is_an_error_with_its_name(namespace):
    """A kernel that gives no socket is an OSError, for the monitor to read in another way."""

    def watch():
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        try:
            connection_counts.read_connections()
        except OSError as error:
            return error.errno, str(error)

    number, text = namespace().call(watch)
    assert number == 24, text


def test_nothing_is_left_open():
    """Reading leaves no descriptor behind."""
    before = os.listdir("/proc/self/fd")
    for _ in range(3):
        connection_counts.read_connections()
    assert os.listdir("/proc/self/fd") == before
