"""Sockets and their owners: recordings, tables, and a comparison with ``ss``."""

import contextlib
import os
import random
import socket
import struct
import time
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.model import BYTE_COUNTER
from network_health.sources.linux import (
    cgroups,
    closed_sockets,
    conntrack,
    link_loss,
    owners,
    rtnetlink,
    socket_groups,
    sockets,
    tcp_bytes,
)
from network_health.sources.linux.byte_counters import ByteCounters
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.inode_index import InodeIndex
from tests.netns import veth
from tests.sources.linux import recorded

DOCKER = "/system.slice/docker-" + "4f" * 32 + ".scope"
POD = "/kubepods.slice/kubepods-burstable.slice/kubepods-pod1.slice/cri-containerd-" + "ab" * 32 + ".scope"


class AllRemotes:
    """Has every remote address and port."""

    def __contains__(self, remote):
        return True


def test_a_recording_of_every_state_is_complete():
    """Sockets have addresses of 4 or 16 bytes and different cookies; listeners have a backlog."""
    found = recorded.parsed(sockets.parse, [], "sock_diag/every_state")
    assert {s.state for s in found} >= {"ESTABLISHED", "TIME_WAIT", "CLOSE_WAIT", "LISTEN", "SYN_RECV"}
    assert {(len(s.local), len(s.remote)) for s in found} <= {(4, 4), (16, 16)}
    assert len({s.cookie for s in found}) == len(found)
    assert all(s.backlog for s in found if s.state == "LISTEN")


def grouped(*recordings, ports=()):
    """The socket groups of recordings."""
    groups = recorded.parsed(socket_groups.parse_groups, socket_groups.GroupCounts("tcp", ports), *recordings)
    return list(socket_groups.take_groups(groups))


def test_groups_have_all_sockets():
    """The groups have the same number of sockets by state, and the same addresses, as the single sockets."""
    single = recorded.parsed(sockets.parse, [], "sock_diag/every_state")
    found = grouped("sock_diag/every_state")
    by_state = Counter()
    for each in found:
        by_state[each.state] += each.sockets
    assert by_state == Counter(s.state for s in single)
    assert sum(g.without_owner for g in found) == sum(not s.inode for s in single)
    assert {(g.local, g.remote) for g in found} == {(s.local, s.remote) for s in single}


def test_connections_are_grouped_by_one_port():
    """It is the local port if that is a listening port or there is no remote one, else the remote port."""
    single = recorded.parsed(sockets.parse, [], "sock_diag/every_state")
    ports = recorded.parsed(socket_groups.parse_ports, set(), "sock_diag/every_state")
    assert {socket.ntohs(port) for port in ports} == {s.local_port for s in single}
    listening = {s.local_port for s in single if s.state == "LISTEN"}
    assert listening
    found = grouped("sock_diag/every_state", ports={socket.htons(port) for port in listening})
    assert all((g.local_port in listening or not any(g.remote)) != bool(g.remote_port) for g in found)
    assert {g.remote_port for g in found} - {0} == {
        s.remote_port for s in single if s.remote_port and s.local_port not in listening
    }


def test_each_inode_has_its_holders():
    """Inodes have their group and the processes that have them open, in any order; others stay without."""
    chance = random.Random(5)
    known = {chance.randrange(1, 1 << 32): chance.randrange(1, 1 << 20) for _ in range(1000)}
    index = InodeIndex()
    for inode, group in known.items():
        index.add(inode, group)
    index.sort()
    inodes = list(known)
    index.hold(7, [*inodes[:500], 0, (1 << 32) - 1])
    index.hold(8, reversed(inodes[250:500]))
    index.hold(7, inodes[:500])
    sets = zip(list(known.values())[:500], [(7,)] * 250 + [(7, 8)] * 250, strict=True)
    expected = {}
    for (group, holders), n in Counter(sets).items():
        expected.setdefault(group, {})[holders] = n
    assert index.counts() == expected
    assert (index.not_held(), len(index)) == (500, 1000)
    assert [index.is_not_held(inode) for inode in [*inodes, 0]] == [False] * 500 + [True] * 500 + [False]


def test_sockets_that_share_an_inode_have_the_same_holders():
    """Each of them is counted in its group; of many processes the first eight are kept."""
    index = InodeIndex()
    for group in (1, 2, 2):
        index.add(11, group)
    index.add(12, 2)
    index.sort()
    for pid in range(1, 21):
        index.hold(pid, [11])
    first = tuple(range(1, 9))
    assert index.counts() == {1: {first: 1}, 2: {first: 2}}


PARSERS = {
    "sockets": (sockets.parse, list),
    "groups": (socket_groups.parse_groups, lambda: socket_groups.GroupCounts("tcp")),
    "ports": (socket_groups.parse_ports, set),
    "tcp bytes": (tcp_bytes.parse, lambda: tcp_bytes.TcpBytes({})),
}


@pytest.mark.parametrize("name", PARSERS)
@pytest.mark.parametrize("damage", [b"", b"\x10", b"\x14\x00\x00\x00" + bytes(40), bytes(200)])
def test_a_datagram_without_sockets_is_an_error(name, damage):
    """A datagram in an unknown format is a documented error."""
    parse, empty = PARSERS[name]
    with pytest.raises((KernelFormatError, OSError)):
        parse(damage, empty())


@pytest.mark.parametrize(("at", "value", "error"), [(17, 13, "state 13"), (16, 3, "family 3")])
def test_an_unknown_state_or_family_is_an_error(at, value, error):
    """A state or a family that the reader does not know is not guessed."""
    whole = bytearray(recorded.datagrams("sock_diag/every_state")[0])
    whole[at] = value
    with pytest.raises(KernelFormatError, match=error):
        sockets.parse(bytes(whole), [])
    groups = socket_groups.GroupCounts("tcp")
    socket_groups.parse_groups(bytes(whole), groups)
    with pytest.raises(KernelFormatError, match=error):
        list(socket_groups.take_groups(groups))


@pytest.mark.root
def test_sockets_are_those_of_ss(namespace):
    """Ports, addresses, inodes and states are the same as from ``ss``, also for IPv4 over IPv6 sockets."""
    inside = namespace()

    def run():
        with (
            socket.create_server(
                ("", 9000), family=socket.AF_INET6, dualstack_ipv6=True, backlog=7
            ) as server,
            socket.create_connection(("127.0.0.1", 9000)) as one,
            socket.create_connection(("::1", 9000)),
        ):
            assert one.fileno() > 0
            assert server.accept()
            found = sockets.read_connected_to(AllRemotes())
            return found, inside.tool("ss", "-Htane"), owners_of(found)

    found, ss, pids = inside.call(run)
    for each in found:
        lines = [line for line in ss.splitlines() if each.inode and f"ino:{each.inode} " in line + " "]
        assert each.inode == 0 or (len(lines) == 1 and f":{each.local_port}" in lines[0]), each
    assert sum(s.local == s.remote == bytes([127, 0, 0, 1]) for s in found) == 2
    assert [s.backlog for s in found if s.state == "LISTEN"] == [7]
    assert set(pids) == {s.inode for s in found if s.inode}
    assert len(set(pids.values())) == 1


def owners_of(found):
    return owners.OwnerFinder().find([s.inode for s in found], time.monotonic() + 10).pids


@pytest.mark.root
def test_groups_have_their_owners(namespace):
    """Accepted connections are under their port, outgoing ones under the remote one, each with its pid."""

    def run():
        with (
            socket.create_server(("127.0.0.1", 9000)) as server,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as named,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connected,
        ):
            named.bind(("127.0.0.1", 53))
            connected.connect(("127.0.0.1", 53))
            clients = [socket.create_connection(("127.0.0.1", 9000)) for _ in range(5)]
            ends = [server.accept()[0] for _ in clients[1:]]
            listing = socket_groups.read_socket_groups(time.monotonic() + 10)
            assert len(ends) == 4
            return listing, os.getpid()

    listing, pid = namespace().call(run)
    here = bytes([127, 0, 0, 1])
    found = {(g.protocol, g.state, g.local_port, g.remote, g.remote_port): g for g in listing.groups}
    seen = {key: (g.sockets, g.without_owner, dict(g.owners)) for key, g in found.items()}
    assert seen == {
        ("tcp", "LISTEN", 9000, bytes(4), 0): (1, 0, {(pid,): 1}),
        ("tcp", "ESTABLISHED", 9000, here, 0): (5, 1, {(pid,): 4}),  # one is not accepted yet
        ("tcp", "ESTABLISHED", 0, here, 9000): (5, 0, {(pid,): 5}),
        ("udp", "NONE", 53, bytes(4), 0): (1, 0, {(pid,): 1}),
        ("udp", "NONE", 0, here, 53): (1, 0, {(pid,): 1}),
    }
    assert (listing.timed_out, listing.users) == (False, Counter())


@pytest.mark.root
def test_a_closed_socket_has_its_byte_counts(namespace):
    """A closed socket has its sent and received bytes, and the cookie that it had before."""

    def run():
        closed = closed_sockets.ClosedSockets()
        with socket.create_server(("127.0.0.1", 0)) as server:
            client = socket.create_connection(server.getsockname())
            accepted = server.accept()[0]
            client.sendall(bytes(5000))
            assert len(accepted.recv(5000, socket.MSG_WAITALL)) == 5000
            before = tcp_bytes.read_tcp_bytes(None, {})
            port = client.getsockname()[1]
            client.close()
            accepted.close()
            received, deadline = [], time.monotonic() + 60
            while len(received) < 2 and time.monotonic() < deadline:
                received += closed.take()[0]
            closed.close()
            return before, received, port

    before, received, port = namespace().call(run)
    assert (len(before.listeners), before.changed) == (1, [])
    assert {s.cookie for s in received} == set(before.counters)
    (client,) = [s for s in received if s.local_port == port]
    assert (client.sent - 5000, client.inode) in {(1, 0), (2, 0)}  # SYN and FIN count


@pytest.mark.root
@pytest.mark.parametrize(("is_known", "idle_s"), [(False, 0.2), (True, 0.2), (False, 0)])
def test_a_socket_that_was_closed_before(namespace, is_known, idle_s):
    """One that is reported late is left out: it was not known, and had no data since the time given."""

    def run():
        with contextlib.closing(closed_sockets.ClosedSockets()) as closed:
            with socket.create_server(("127.0.0.1", 0)) as server:
                client = socket.create_connection(server.getsockname())
                accepted = server.accept()[0]
            began_s = time.monotonic() + idle_s - 0.02  # the kernel counts in ticks of up to 10 ms
            client.sendall(bytes(5000))
            assert len(accepted.recv(5000, socket.MSG_WAITALL)) == 5000
            cookies = tcp_bytes.read_tcp_bytes(None, {}).counters
            time.sleep(idle_s)
            for end in (client, accepted):
                end.close()
            found, deadline = 0, time.monotonic() + (60 if is_known or not idle_s else 1)
            while found < 2 and time.monotonic() < deadline:
                taken, _ = closed.take(cookies if is_known else (), began_s, settles=True)
                found += sum(each.remote_port > 0 for each in taken)  # not the listener
            return found

    assert namespace().call(run) == (0 if idle_s and not is_known else 2)


@pytest.mark.root
def test_only_sockets_with_traffic_are_listed(namespace):
    """Of two connections, the one with traffic since the previous listing is listed, with inode and bytes."""

    def run():
        with socket.create_server(("127.0.0.1", 0)) as server:
            pairs = [(socket.create_connection(server.getsockname()), server.accept()[0]) for _ in range(2)]
            for sender, receiver in pairs:
                sender.sendall(bytes(1000))
                receiver.recv(1000, socket.MSG_WAITALL)
            first = tcp_bytes.read_tcp_bytes(None, {})
            sender, receiver = pairs[1]
            sender.sendall(bytes(500))
            receiver.recv(500, socket.MSG_WAITALL)
            second = tcp_bytes.read_tcp_bytes(first.counters, {})
            inodes = {os.fstat(end.fileno()).st_ino for end in pairs[1]}
            return second, inodes

    second, inodes = namespace().call(run)
    assert {s.inode for s in second.changed} == inodes
    assert sorted(s.received for s in second.changed) == [0, 1500]
    assert sorted(s.sent for s in second.changed) == [0, 1501]  # the SYN counts
    assert len(second.counters) == 4


@given(st.lists(st.integers(0, (1 << 64) - 1), unique=True), st.randoms())
def test_byte_counters_are_found_in_any_order(cookies, chance):
    """Lookups give the same results as in a dictionary, in any order, with unknown cookies in between."""
    known, other = cookies[::2], cookies[1::2]
    counters = ByteCounters()
    expected = {cookie: BYTE_COUNTER.pack(n, n * n, n & 0xFFFFFFFF) for n, cookie in enumerate(known)}
    for cookie, counter in expected.items():
        counters.add(cookie, counter)
    assert dict(counters) == expected
    chance.shuffle(cookies)
    for cookie in cookies:
        assert counters.get(cookie) == expected.get(cookie)
    assert len(counters) == len(known)
    assert all(cookie not in counters for cookie in other)


@pytest.mark.root
def test_lost_messages_about_closed_sockets_are_reported(namespace, monkeypatch):
    """If more sockets close than fit into the buffer, the result is marked as incomplete."""
    monkeypatch.setattr(closed_sockets, "_BUFFER_BYTES", 4096)

    def run():
        closed = closed_sockets.ClosedSockets()
        with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
            for _ in range(100):
                socket.create_connection(server.getsockname()).close()
                server.accept()[0].close()
        time.sleep(0.1)
        return closed.take()[1]

    assert namespace().call(run) is False


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/system.slice/nginx.service", (None, "nginx.service")),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope", (None, "x.scope")),
        (DOCKER, ("4f4f4f4f4f4f", None)),
        ("/docker/" + "0a" * 32, ("0a0a0a0a0a0a", None)),
        (POD, ("abababababab", None)),
        ("/machine.slice/libpod-" + "12" * 32 + ".scope/container", ("121212121212", None)),
        ("/lxc.payload.web/system.slice/a.service", ("web", "a.service")),
        ("/lxc/web", ("web", None)),
        ("/lxc.monitor.web1", ("web1", None)),
        ("/lxc.monitor/web1", ("web1", None)),
        ("/lxc.payload.monitor.web1/init.scope", ("monitor.web1", "init.scope")),
        ("/system.slice/lxc.service", (None, "lxc.service")),
        ("/lxc.pivot", (None, None)),
        ("/machine.slice/machine-web\\x2d1.scope/payload", ("web-1", "machine-web\\x2d1.scope")),
        ("/machine.slice/systemd-nspawn@db.service/payload", ("db", "systemd-nspawn@db.service")),
        ("/machine.slice/machine-qemu\\x2d1\\x2dvm.scope", (None, "machine-qemu\\x2d1\\x2dvm.scope")),
        ("/machine.slice/libpod-" + "12" * 32 + ".scope", ("121212121212", None)),
        ("/machine.slice/libpod_pod_" + "12" * 32 + ".slice", (None, None)),
        ("/system.slice/cri-containerd-" + "ab" * 32 + ".scope", ("abababababab", None)),
        ("/system.slice/crio-" + "ab" * 32 + ".scope", ("abababababab", None)),
        ("/ecs/" + "c" * 32 + "/" + "ab" * 32, ("abababababab", None)),
        ("/ecs/" + "c" * 32 + "/" + "c" * 32 + "-2681919577", ("c" * 32 + "-2681919577", None)),
        ("/ecs/web", (None, None)),
        ("/", (None, None)),
        ("", (None, None)),
    ],
)
def test_containers_and_units_are_found_in_paths(path, expected):
    """The path alone has the container and the unit, in the formats of the usual tools."""
    assert cgroups.container_and_unit(path) == expected


UID = "0f1e2d3c-1111-2222-3333-444455556666"


@pytest.mark.parametrize(
    ("path", "uid"),
    [
        (POD, None),
        (f"/kubepods/burstable/pod{UID}/" + "ab" * 32, UID),
        (
            f"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{UID.replace('-', '_')}.slice/"
            f"cri-containerd-{'ab' * 32}.scope",
            UID,
        ),
        (f"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod{'0a' * 16}.slice", "0a" * 16),
        (f"/system.slice/pod{UID}/x", None),
        (f"/system.slice/pod{UID}/kubepods", None),
        (f"/kubepods/pod{UID}/pod{'0a' * 16}", UID),
        ("/kubepods/podwhatever/x", None),
    ],
)
def test_pods_are_found_in_paths(path, uid):
    """The path has the uid of the pod, also that of a static pod; another name is not one."""
    assert cgroups.pod_of(path) == uid


@pytest.mark.parametrize("name", ["kubepods", "kubepods-pod", "/kubepods/pod", "/lxc", "/ecs/a", ".service"])
def test_hostile_paths_take_no_time(name):
    """Names that a user repeats in the longest path: 1,000 take less than a second of CPU time, not six."""
    path = ("/" + name * 500)[:4095]
    started_s = time.process_time()
    found = {(*cgroups.container_and_unit(path), cgroups.pod_of(path)) for _ in range(1000)}
    assert len(found) == 1
    assert time.process_time() - started_s < 1


@pytest.mark.parametrize(
    ("path", "uid"),
    [
        ("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + "12" * 32 + ".scope", 1000),
        ("/user.slice/user-1000.slice/user@1000.service/app.slice/nginx.service", 1000),
        ("/user.slice/user-1000.slice/session-3.scope", None),
        ("/system.slice/nginx.service", None),
        ("/lxc.payload.web/user.slice/user-7.slice/user@7.service/a.service", None),
    ],
)
def test_names_below_a_service_manager_are_its_users(path, uid):
    """Only in the folder that systemd delegates to a user of this host."""
    assert cgroups.manager_of(path) == uid


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("0::/system.slice/a.service\n", "/system.slice/a.service"),
        ("4:memory:/docker/x\n1:name=systemd:/b.service\n0::/\n", "/b.service"),
        ("4:memory:/docker/x\n2:cpu:/\n0::/\n", "/docker/x"),
        ("4:memory:/a\n1:name=systemd:/b.service\n", "/b.service"),
        ("4:memory:/docker/x\n2:cpu:/\n1:name=systemd:/\n", "/docker/x"),
        ("2:cpu,cpuacct:/\n", "/"),
        ("", ""),
        ("nonsense\n", ""),
        ("0::/a.scope\x0c0::/b.service\n", "/a.scope\x0c0::/b.service"),
    ],
)
def test_the_most_specific_path_is_used(text, path):
    """It is that of the unified hierarchy, else that of systemd, else the longest one.

    With version 1 alone there is no unified hierarchy.
    """
    assert cgroups.parse_cgroup(text) == path


def test_sources_of_tracked_connections_are_counted():
    """The first source of a line counts: the address that opened the connection."""
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


def test_loss_counters_have_their_kinds():
    """Each counter above 0 has the kernel's name; the recorded interfaces lost nothing."""
    stats = recorded.parsed(rtnetlink.parse_stats, {}, "rtnetlink/stats")
    assert [link_loss.parse_kinds(counters) for counters in stats.values()] == [{}] * 6
    assert link_loss.parse_kinds(struct.pack("=24Q", *range(100, 124))) == {
        "rx_dropped": 106,
        "tx_dropped": 107,
        "rx_length": 110,
        "rx_over": 111,
        "rx_crc": 112,
        "rx_frame": 113,
        "rx_fifo": 114,
        "rx_missed": 115,
        "tx_aborted": 116,
        "tx_carrier": 117,
        "tx_fifo": 118,
        "tx_heartbeat": 119,
        "tx_window": 120,
    }


@pytest.mark.root
def test_drops_of_a_queueing_discipline_are_a_kind(namespace):
    """They are the same number as from ``tc``; the interface itself has no drops."""
    host, far = namespace(), namespace()
    veth(host, far)
    host.tool("sh", "-c", "tc qdisc add dev va root tbf rate 8kbit burst 1600 limit 1600")

    def run():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(20):
                sender.sendto(bytes(1000), ("10.77.0.2", 9))
                time.sleep(0.005)  # the first ones wait for the neighbour's address
        return link_loss.read_loss_kinds()[socket.if_nametoindex("va")]

    seen = host.call(run)
    assert f"dropped {seen['qdisc']}," in host.tool("tc", "-s", "qdisc", "show", "dev", "va")
    assert seen["qdisc"] > 5
    assert host.links()["va"]["stats64"]["tx"]["dropped"] == 0


@pytest.mark.root
def test_closed_sockets_are_taken_in_parts(namespace, monkeypatch):
    """If sockets are closed faster than they are read, the rest is read the next time."""
    monkeypatch.setattr(closed_sockets, "_MAX_TAKEN", 4)

    def take_twice():
        with contextlib.closing(closed_sockets.ClosedSockets()) as closed:
            server = socket.create_server(("127.0.0.1", 0))
            for _ in range(3):
                client = socket.create_connection(server.getsockname())
                accepted, _ = server.accept()
                for end in (client, accepted):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    end.close()
            time.sleep(0.3)  # the kernel sends its messages late
            return [(len(sockets), is_whole) for sockets, is_whole in (closed.take(), closed.take())]

    assert namespace().call(take_twice) == [(4, False), (2, True)]
