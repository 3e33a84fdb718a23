"""Owners on a real kernel: floods within the host, socket activation, MPTCP, sockets in no process."""

import contextlib
import os
import socket
import subprocess
import time

import pytest

from network_health import Monitor, Settings
from network_health.attribution import missing_owners
from network_health.sources.linux import read_socket_groups

pytestmark = pytest.mark.root


def named(name, act):
    """A process with a name that does something, and keeps what this returns open until it is killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        with open("/proc/self/comm", "w") as comm:
            comm.write(name)
        kept = act()
        os.write(writing, b"x")
        time.sleep(60)
        os._exit(len(kept))
    os.read(reading, 1)
    os.close(reading)
    os.close(writing)
    return pid


def check(**settings):
    """The details of a check, and its evidence about connections."""
    content = Monitor(Settings.from_mapping({"process_network": "off", **settings})).check().as_content()
    return content["details"], content["metrics"].get("culprits", {}).get("connections", {})


@contextlib.contextmanager
def ended(*pids):
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def connect(port, count, address="127.0.0.1"):
    return [socket.create_connection((address, port)) for _ in range(count)]


def accepted(server, count):
    return [server.accept()[0] for _ in range(count)]


@pytest.mark.parametrize("address", ["127.0.0.1", "10.9.9.1"])
def test_a_flood_within_the_host_names_the_port_and_both_processes(namespace, address):
    """Over loopback or an address of the host; the remote address would only say that it is this host."""
    inside = namespace()
    inside.ip("addr", "add", "10.9.9.1/32", "dev", "lo")

    def run():
        server = socket.create_server((address, 8123), backlog=64)
        flood = named("flood", lambda: (server.close(), connect(8123, 50, address)))
        app = named("app", lambda: (accepted(server, 50), server))
        server.close()
        with ended(flood, app):
            return check(conn_threshold=50)[0], app, flood

    details, app, flood = inside.call(run)
    assert details == (
        f"High connection count: 101 > 50 (100% on :8123 owned by app[{app}], 50% opened by flood[{flood}])"
    )


def test_the_process_that_accepts_is_named_before_the_one_that_keeps_the_listener(namespace):
    """A supervisor opened the listener and keeps it open; of both the service has the connections.

    Ten connections are not accepted yet: the kernel does not tell who will accept them.
    """

    def run():
        server = socket.create_server(("127.0.0.1", 8123), backlog=64)
        supervisor = named("supervisor", lambda: [server])
        client = named("client", lambda: (server.close(), connect(8123, 40)))
        service = named("service", lambda: (accepted(server, 30), server))
        server.close()
        with ended(supervisor, service, client):
            return check(conn_threshold=50)[0], service, supervisor, client

    details, service, supervisor, client = namespace().call(run)
    assert details == (
        f"High connection count: 81 > 50 (100% on :8123 owned by service[{service}] or "
        f"supervisor[{supervisor}], 49% opened by client[{client}])"
    )


def test_a_socket_that_a_child_inherited_has_two_owners(namespace):
    """The clause has both, since the kernel does not report which of them uses it."""

    def run():
        server = socket.create_server(("127.0.0.1", 8123), backlog=64)
        remote = named("remote", lambda: [server])
        server.close()
        kept = connect(8123, 50)
        starter, background = (named(name, lambda: kept) for name in ("starter", "background"))
        for each in kept:
            each.close()
        with ended(remote, starter, background):
            return check(conn_threshold=50)[0], starter, background

    details, starter, background = namespace().call(run)
    assert details.endswith(f", 50% opened by starter[{starter}] or background[{background}])")


def test_all_subflows_of_a_connection_have_its_owner(namespace):
    """The sockets of an MPTCP connection share one inode."""
    if not os.path.exists("/proc/sys/net/mptcp/enabled"):
        pytest.skip("the kernel has no MPTCP")
    inside = namespace()
    for address in ("10.9.9.1", "10.9.9.2"):
        inside.ip("addr", "add", f"{address}/32", "dev", "lo")

    def run():
        subprocess.run(["ip", "mptcp", "limits", "set", "subflow", "4"], check=True)
        subprocess.run(["ip", "mptcp", "endpoint", "add", "10.9.9.2", "dev", "lo", "subflow"], check=True)
        server, client = (socket.socket(proto=socket.IPPROTO_MPTCP) for _ in range(2))
        server.bind(("10.9.9.1", 9000))
        server.listen()
        client.connect(("10.9.9.1", 9000))
        end = server.accept()[0]
        client.send(bytes(1000))
        end.recv(1000)
        deadline = time.monotonic() + 60
        groups = ()
        while sum(each.sockets for each in groups) < 5 and time.monotonic() < deadline:
            groups = read_socket_groups(time.monotonic() + 10).groups
        return sorted((each.state, each.sockets, dict(each.owners)) for each in groups), os.getpid()

    groups, pid = inside.call(run)
    assert groups == [*[("ESTABLISHED", 1, {(pid,): 1})] * 4, ("LISTEN", 1, {(pid,): 1})]


def test_a_socket_in_no_process_is_noted_and_a_closed_one_is_not(namespace):
    """Sockets on their way from one process to another are noted, with their user; TIME_WAIT is not."""

    def run():
        near, far = socket.socketpair()
        with socket.create_server(("127.0.0.1", 8123), backlog=64) as server:
            clients = connect(8123, 20)
            ends = accepted(server, 20)
            for each in clients:
                each.close()
            for each in ends:
                each.close()
        waiting = check(conn_threshold=10)
        passed = [socket.socket() for _ in range(20)]
        for each in passed:
            each.bind(("127.0.0.1", 0))
            each.listen()
            socket.send_fds(near, [b"x"], [each.fileno()])
            each.close()
        return waiting, check(conn_threshold=30), far.fileno()

    waiting, passed, _ = namespace().call(run)
    assert waiting[0] == "High connection count: 20 > 10 (100% to 127.0.0.1:8123, 100% TIME_WAIT)"
    assert "note" not in waiting[1]
    # The tests run in a pid namespace of their own, so another one could have the sockets open.
    assert passed[1]["note"] in missing_owners.OBSTACLES.values()
    assert [(each["user"], each["count"]) for each in passed[1]["users"]] == [("root", 20)]
