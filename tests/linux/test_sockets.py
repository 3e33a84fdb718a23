"""Sockets, their ends and their owners: recordings, tables, and ``ss`` as the referee."""

import os
import socket
import time

import pytest

from network_health.evidence import Socket
from network_health.linux import cgroups, conntrack, destroyed, loss, owners, sockets
from network_health.linux.errors import KernelFormatError
from tests.linux import recorded
from tests.netns import veth

DOCKER = "/system.slice/docker-" + "4f" * 32 + ".scope"
POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-pod1.slice/cri-containerd-" + "ab" * 32 + ".scope"


def test_a_recording_of_every_state_is_read_whole():
    """As many sockets of each state as the counting reader finds, all with an address of 4 or 16 bytes."""
    found = recorded.parsed(sockets.parse, [], "sock_diag/every_state")
    assert {s.state for s in found} >= {"ESTABLISHED", "TIME_WAIT", "CLOSE_WAIT", "LISTEN", "SYN_RECV"}
    assert {(len(s.local), len(s.remote)) for s in found} <= {(4, 4), (16, 16)}
    assert len({s.cookie for s in found}) == len(found)
    assert all(s.backlog for s in found if s.state == "LISTEN")


@pytest.mark.parametrize("damage", [b"", b"\x10", b"\x14\x00\x00\x00" + bytes(40), bytes(200)])
def test_what_is_no_listing_is_refused(damage):
    """A datagram that is not one of sockets is an error with a name."""
    with pytest.raises((KernelFormatError, OSError)):
        sockets.parse(damage, [])


def test_an_unknown_state_is_refused():
    """A state that this reader does not know is not guessed."""
    whole = bytearray(recorded.datagrams("sock_diag/every_state")[0])
    whole[17] = 13
    with pytest.raises(KernelFormatError):
        sockets.parse(bytes(whole), [])


@pytest.mark.root
def test_ss_sees_the_same_sockets(namespace):
    """Ports, addresses, inodes and states are those that ``ss`` tells, for IPv4 through IPv6 too."""
    inside = namespace()

    def look():
        with (
            socket.create_server(
                ("", 9000), family=socket.AF_INET6, dualstack_ipv6=True, backlog=7
            ) as server,
            socket.create_connection(("127.0.0.1", 9000)) as one,
            socket.create_connection(("::1", 9000)),
        ):
            assert one.fileno() > 0
            assert server.accept()
            return sockets.read_tcp(), inside.tool("ss", "-Htane"), owners_of(sockets.read_tcp())

    found, ss, pids = inside.call(look)
    for each in found:
        lines = [line for line in ss.splitlines() if each.inode and f"ino:{each.inode} " in line + " "]
        assert each.inode == 0 or (len(lines) == 1 and f":{each.local_port}" in lines[0]), each
    assert sum(s.local == s.remote == bytes([127, 0, 0, 1]) for s in found) == 2
    assert [s.backlog for s in found if s.state == "LISTEN"] == [7]
    held = {s.inode for s in found if s.inode}
    assert set(pids) == held
    assert len(set(pids.values())) == 1


def owners_of(found):
    return owners.OwnerFinder().find([s.inode for s in found], time.monotonic() + 10).pids


@pytest.mark.root
def test_a_closed_socket_says_how_much_it_moved(namespace):
    """Sent and received bytes arrive with the cookie that the socket had while it was open."""

    def look():
        closed = destroyed.ClosedSockets()
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            accepted = server.accept()[0]
            client.sendall(bytes(5000))
            assert len(accepted.recv(5000, socket.MSG_WAITALL)) == 5000
            before = {s.cookie: s for s in sockets.read_moving() if s.state == "ESTABLISHED"}
            port = client.getsockname()[1]
            client.close()
            accepted.close()
            told, deadline = [], time.monotonic() + 5
            while len(told) < 2 and time.monotonic() < deadline:
                told += closed.take()[0]
            closed.close()
            return before, told, port

    before, told, port = namespace().call(look)
    assert {s.cookie for s in told} == set(before)
    (client,) = [s for s in told if s.local_port == port]
    assert (client.sent - 5000, client.inode) in {(1, 0), (2, 0)}  # SYN and FIN count


@pytest.mark.root
def test_lost_ends_are_admitted(namespace, monkeypatch):
    """When more sockets close than the buffer holds, the answer says that it is not whole."""
    monkeypatch.setattr(destroyed, "_BUFFER_BYTES", 4096)

    def look():
        closed = destroyed.ClosedSockets()
        with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
            for _ in range(100):
                socket.create_connection(server.getsockname()).close()
                server.accept()[0].close()
        time.sleep(0.1)
        return closed.take()[1]

    assert namespace().call(look) is False


def test_the_lowest_pid_owns_what_is_shared():
    """A socket that a child inherited is its parent's."""
    with socket.socket() as shared:
        inode = os.fstat(shared.fileno()).st_ino
        child = os.fork()
        if child == 0:
            time.sleep(10)
            os._exit(0)
        try:
            found = owners.OwnerFinder().find([inode, 1], time.monotonic() + 10)
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)
    assert found.pids == {inode: min(os.getpid(), child)}


def test_a_search_that_takes_too_long_stops():
    """When the clock has run out at the first process, most owners stay unknown, and none is wrong."""
    with socket.socket() as mine:
        inode = os.fstat(mine.fileno()).st_ino
        finder = owners.OwnerFinder()
        late = finder.find([inode], 0.0, now=lambda: 1.0)
        assert late.is_late
        assert late.pids in ({}, {inode: os.getpid()})
        assert finder.find([inode], 1.0, now=lambda: 0.0).pids == {inode: os.getpid()}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/system.slice/nginx.service", (None, "nginx.service")),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope", (None, "x.scope")),
        (DOCKER, ("4f4f4f4f4f4f", None)),
        ("/docker/" + "0a" * 32, ("0a0a0a0a0a0a", None)),
        (POD, ("abababababab", None)),
        ("/machine.slice/libpod-" + "12" * 32 + ".scope/container", ("121212121212", None)),
        ("/lxc.payload.web/system.slice/a.service", ("web", "a.service")),
        ("/lxc/web", ("web", None)),
        ("/", (None, None)),
        ("", (None, None)),
    ],
)
def test_places_are_read_from_paths(path, place):
    """Containers and units of the usual makers, from the path alone."""
    assert cgroups.place_of(path) == place


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/system.slice/a.service\n", "/system.slice/a.service"),
        ("4:memory:/docker/x\n1:name=systemd:/b.service\n0::/\n", "/b.service"),
        ("4:memory:/docker/x\n2:cpu:/\n0::/\n", "/docker/x"),
        ("", ""),
        ("nonsense\n", ""),
    ],
)
def test_the_hierarchy_that_says_most_is_taken(text, path):
    """The unified one, else systemd's, else the longest."""
    assert cgroups.parse_cgroup(text) == path


def test_sources_of_tracked_connections_are_counted():
    """The first source of a line counts: that of who opened the connection."""
    lines = [
        "ipv4 2 tcp 6 431999 ESTABLISHED src=10.0.0.1 dst=10.0.0.2 src=10.0.0.2 dst=10.0.0.1 \n",
        "ipv4 2 udp 17 29 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 \n",
        "ipv6 10 udp 17 29 src=fe80::1 dst=fe80::2 sport=1 dport=2 src=fe80::2 dst=fe80::1 \n",
    ]
    v6 = socket.inet_pton(socket.AF_INET6, "fe80::1")
    assert conntrack.parse_sources(lines) == {bytes([10, 0, 0, 1]): 2, v6: 1}
    for damaged in ("ipv4 2 tcp\n", "a src=999.0.0.1 b\n"):
        with pytest.raises(KernelFormatError):
            conntrack.parse_sources([damaged])


def test_recorded_counters_have_their_kinds():
    """A recording of interfaces gives kinds by the kernel's names, all above 0."""
    kinds = recorded.parsed(loss.parse_kinds, {}, "rtnetlink/stats")
    assert kinds
    assert all(count > 0 for each in kinds.values() for count in each.values())


@pytest.mark.root
def test_what_a_queue_throws_away_is_a_kind(namespace):
    """Drops of a queueing discipline are counted as ``tc`` counts them, though the interface has none."""
    host, far = namespace(), namespace()
    veth(host, far)
    host.tool("sh", "-c", "tc qdisc add dev va root tbf rate 8kbit burst 1600 limit 1600")

    def look():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(20):
                sender.sendto(bytes(1000), ("10.77.0.2", 9))
                time.sleep(0.005)  # the first ones wait for the neighbour's address
        return loss.read_kinds()[socket.if_nametoindex("va")]

    seen = host.call(look)
    assert f"dropped {seen['qdisc']}," in host.tool("tc", "-s", "qdisc", "show", "dev", "va")
    assert seen["qdisc"] > 5
    assert host.links()["va"]["stats64"]["tx"]["dropped"] == 0


def test_a_socket_is_one_small_tuple():
    """100,000 of them are listed on a breach."""
    assert Socket._fields[:2] == ("protocol", "state")
    assert not hasattr(Socket("tcp", "LISTEN", b"", 1, b"", 2, 0, 0, 0), "__dict__")
