"""Connections by state on a real kernel, in network namespaces, compared with ``ss`` and psutil."""

import ctypes
import os
import resource
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from types import SimpleNamespace

import pytest

from network_health.sources.linux import connection_counts, inet_diag, netlink, proc_sockets
from network_health.sources.linux.inet_diag import STATES
from tests.sources.linux import referees
from tests.sources.linux.tun_peer import EVERY_STATE, Peer, every_state

pytestmark = pytest.mark.root

CLONE_NEWNS = 0x00020000
#: The states of a full dump, and of one without ESTABLISHED and TIME_WAIT.
ALL, FEW = 0xFFE, 0xFBC
FAST_OPEN = 23  # TCP_FASTOPEN
#: For client and server, without a cookie.
FAST_OPEN_SYSCTL = "0x603"


def by_status():
    return dict(connection_counts.read_connections().by_status)


def dumped_states(work):
    """The result of ``work``, and the TCP states of each of its dumps."""
    states = []
    dump = netlink.dump

    def recording(protocol, request, *rest):
        if len(request) == 16 + 60:  # inet_diag_req: the states are before its last word
            states.append(int.from_bytes(request[-8:-4], sys.byteorder))
        return dump(protocol, request, *rest)

    netlink.dump = recording
    try:
        return work(), states
    finally:
        netlink.dump = dump


def test_every_state_has_the_counts_of_ss_and_psutil(namespace):
    """Sockets of both families in every state, also unconnected ones, are counted without a full dump."""

    def watch():
        peer = Peer()
        every_state(peer)
        found = [
            referees.at_one_moment(referee, lambda: dumped_states(by_status))
            for referee in (referees.sockets, referees.sockets_of_psutil)
        ]
        peer.close()
        return found

    for (seen, states), expected in namespace().call(watch):
        assert seen == expected == EVERY_STATE
        assert states == [FEW]


def test_the_text_files_of_proc_count_the_same(namespace):
    """Where the kernel denies the dumps, lines are counted, and no descriptors are read."""

    def watch():
        peer = Peer()
        every_state(peer)
        found = proc_sockets.read_connections_from_proc().by_status, referees.sockets_of_psutil()
        peer.close()
        return found

    seen, expected = namespace().call(watch)
    assert dict(seen) == expected == EVERY_STATE


def test_a_full_dump_counts_the_same(namespace):
    """Without the totals, every socket is dumped, and the counts are the same."""

    def watch():
        peer = Peer()
        every_state(peer)
        expected = referees.sockets()
        assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0  # hide /proc only here
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/proc"], check=True)
        seen = dumped_states(by_status)
        peer.close()
        return seen, expected

    (seen, states), expected = namespace().call(watch)
    assert seen == expected == EVERY_STATE
    assert states == [ALL]


def test_totals_without_access_are_not_needed(namespace, monkeypatch):
    """If the kernel denies access to the totals, every socket is dumped."""

    def deny_access(name):
        raise PermissionError(name)

    monkeypatch.setattr(connection_counts.proc_net, "read_net", deny_access)

    def watch():
        peer = Peer()
        every_state(peer)
        found = dumped_states(by_status)
        peer.close()
        return found

    assert namespace().call(watch) == (EVERY_STATE, [ALL])


def test_totals_of_an_old_kernel_are_not_used(namespace, monkeypatch):
    """If ``tw`` counts all namespaces together, every socket is dumped."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(release="4.9.0"))

    def watch():
        peer = Peer()
        every_state(peer)
        found = dumped_states(by_status)
        peer.close()
        return found

    assert namespace().call(watch) == (EVERY_STATE, [ALL])


def test_totals_that_do_not_agree_are_not_used(namespace):
    """If the totals are wrong by one socket, every socket is dumped, and the counts are right."""
    read = connection_counts._read_totals

    def off_by_one():
        totals = read()
        return replace(totals, established=totals.established + 1)

    def watch():
        peer = Peer()
        every_state(peer)
        connection_counts._read_totals = off_by_one
        found = dumped_states(by_status)
        peer.close()
        return found

    seen, states = namespace().call(watch)
    assert seen == EVERY_STATE
    assert states[-1] == ALL


def test_half_open_sockets_of_fast_open_are_counted_apart(namespace):
    """With TCP Fast Open a half-open connection is a full socket, and is in a total without the others."""
    host = namespace()
    host.sysctl("net.ipv4.tcp_fastopen", FAST_OPEN_SYSCTL)

    def watch():
        peer = Peer()
        for family in (socket.AF_INET, socket.AF_INET6):
            listener = peer.listen(family)
            listener.setsockopt(socket.IPPROTO_TCP, FAST_OPEN, 16)
            peer.syn_recv(family, listener, b"early")
            peer.syn_recv(family, listener)
            # as many as above: CurrEstab with and without CLOSE_WAIT must not be confused
            peer.close_wait(family)
        found = referees.at_one_moment(referees.sockets_of_psutil, lambda: dumped_states(by_status))
        peer.close()
        return found

    (seen, states), expected = host.call(watch)
    assert seen == expected == {"LISTEN": 2, "SYN_RECV": 4, "CLOSE_WAIT": 2}
    assert states == [FEW]


def test_a_socket_that_changed_its_family_is_counted_once(namespace):
    """An IPv6 socket that became an IPv4 socket is in the other total."""

    def watch():
        peer = Peer()
        client, _, _ = peer.established(socket.AF_INET, mapped=True)
        before = by_status()
        client.setsockopt(socket.IPPROTO_IPV6, 1, int(socket.AF_INET))  # IPV6_ADDRFORM
        found = before, dumped_states(by_status), referees.sockets()
        peer.close()
        return found

    before, (seen, states), expected = namespace().call(watch)
    assert before == seen == expected == {"ESTABLISHED": 1}
    assert states == [FEW]


def test_no_sockets_are_no_counts(namespace):
    """In an empty namespace there are no states, as with psutil."""
    seen, expected = namespace().call(lambda: (by_status(), referees.sockets_of_psutil()))
    assert seen == expected == {}


def test_namespaces_are_counted_apart(namespace):
    """Sockets and totals are those of the calling thread's network namespace."""
    other = namespace()

    def watch():
        peer = Peer()
        peer.established(socket.AF_INET)
        seen = {}

        def in_other():
            other.enter()
            with socket.create_server(("127.0.0.1", 0)) as listener:
                clients = [socket.create_connection(listener.getsockname()) for _ in range(3)]
                seen["there"] = dumped_states(by_status)
                for client in clients:
                    client.close()

        thread = threading.Thread(target=in_other)
        thread.start()
        thread.join()
        seen["here"] = dumped_states(by_status)
        peer.close()
        return seen

    seen = namespace().call(watch)
    assert seen["here"][0] == {"ESTABLISHED": 1}
    assert seen["there"][0] == {"LISTEN": 1, "ESTABLISHED": 6}
    assert seen["here"][1] == seen["there"][1] == [FEW]


def test_every_socket_of_many_is_counted(namespace):
    """1,000 connections and 300 in TIME_WAIT are counted from totals, and from a dump of many datagrams."""

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
    assert seen == expected == full
    waiting = seen.pop("TIME_WAIT")
    assert 300 <= waiting <= 600  # both ends wait if they close at the same time, as on a slow machine
    assert seen == {"LISTEN": 1, "ESTABLISHED": 1400}


def test_a_denied_socket_is_an_error_with_its_name(namespace):
    """If the kernel gives no socket, there is an OSError, so that the monitor tries the next reader."""

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
