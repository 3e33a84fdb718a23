"""Other network namespaces: damaged answers, and real ones with processes, mounts and veth pairs."""

import contextlib
import ctypes
import errno
import os
import resource
import signal
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

import pytest

from network_health.model import Namespaces
from network_health.sources.linux import namespace_ids, namespace_owner, namespace_reader, namespaces
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.namespace_entry import call_in_namespace
from network_health.sources.linux.namespace_reader import NamespaceReader, parse_counts
from network_health.sources.linux.namespaces import NetworkNamespace, read_namespaces
from tests.containers import container, docker
from tests.netns import CLONE_NEWNET, run, veth
from tests.sources.linux.messages import attribute, failed, message

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000


def answer(*attributes, kind=88):
    return message(kind, bytes(4), *attributes)


def test_the_id_of_a_namespace_is_read():
    """An id of -1 says that the kernel has given none."""
    both = [namespace_ids.parse_namespace_id(answer(attribute(1, struct.pack("=i", n)))) for n in (7, -1)]
    assert both == [7, None]


@pytest.mark.parametrize(
    ("datagram", "error"),
    [
        (failed(errno.ESRCH), OSError),
        (answer(kind=16), KernelFormatError),
        (answer(), KernelFormatError),
        (answer(attribute(1, b"\1\0")), KernelFormatError),
        (b"", KernelFormatError),
    ],
)
def test_a_damaged_id_is_an_error(datagram, error):
    """An ended process and an answer in an unknown format are errors, never another namespace."""
    with pytest.raises(error):
        namespace_ids.parse_namespace_id(datagram)


@contextlib.contextmanager
def living_in(namespace, command=("sleep", "60")):
    """A process in the namespace; it is killed in the end."""
    process = subprocess.Popen(["ip", "netns", "exec", namespace.name, *command])
    try:
        inode = inode_of(namespace)
        while os.stat(f"/proc/{process.pid}/ns/net").st_ino != inode:
            time.sleep(0.01)
        yield process
    finally:
        process.kill()
        process.wait()


def inode_of(namespace):
    return os.stat(f"/run/netns/{namespace.name}").st_ino


@pytest.mark.root
def test_namespaces_have_their_processes_and_veths(namespace):
    """One has a process and a veth, one only a mount and a veth; a namespace does not list itself."""
    host, busy, idle = namespace(), namespace(), namespace()
    veth(host, busy, ("v-busy", "eth0"))
    veth(host, idle, ("v-idle", "eth0"), ("10.78.0.1/24", "10.78.0.2/24"))
    with living_in(busy) as process:

        def read():
            links = {name: socket.if_nametoindex(name) for name in ("v-busy", "v-idle")}
            return links, read_namespaces()

        links, found = host.call(read)
        ours = {each.inode: each for each in found}
        assert inode_of(host) not in ours
        assert [ours[inode_of(each)] for each in (busy, idle)] == [
            NetworkNamespace(inode_of(busy), f"/proc/{process.pid}/ns/net", process.pid, (links["v-busy"],)),
            NetworkNamespace(inode_of(idle), f"/run/netns/{idle.name}", None, (links["v-idle"],)),
        ]


SOCKSTAT = b"""sockets: used 190
TCP: inuse 41 orphan 7 tw 5 alloc 44 mem 2
UDP: inuse 3 mem 1
UDPLITE: inuse 9
RAW: inuse 8
"""
SOCKSTAT6 = b"TCP6: inuse 2\nUDP6: inuse 1\nUDPLITE6: inuse 9\nRAW6: inuse 8\nFRAG6: inuse 0 memory 0\n"


@pytest.mark.parametrize(
    ("sockstat", "sockstat6", "counts"),
    [
        (SOCKSTAT, SOCKSTAT6, (48, 4)),
        (SOCKSTAT, b"", (46, 3)),
        (SOCKSTAT, b"TCP6: inuse 2\n", (None, None)),
        (b"TCP: inuse 41\n", SOCKSTAT6, (None, None)),
        (b"", b"", (None, None)),
    ],
)
def test_sockets_are_counted_by_protocol(sockstat, sockstat6, counts):
    """TIME_WAIT counts; orphans of all namespaces do not. Without a protocol nothing is known."""
    assert parse_counts(sockstat, sockstat6) == counts


@pytest.mark.root
def test_the_counts_are_those_of_ss(namespace):
    """Both protocols over IPv4 and IPv6, and TIME_WAIT."""
    other = namespace()

    def hold():
        with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
            closed = socket.create_connection(server.getsockname()[:2])
            accepted = server.accept()[0]
            closed.close()
            accepted.close()
        held = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
        held += [socket.socket(family, socket.SOCK_DGRAM) for family in (socket.AF_INET, socket.AF_INET6)]
        for datagrams, address in zip(held[3:], ("127.0.0.1", "::1"), strict=True):
            datagrams.bind((address, 0))
        listed = run("ss", "-Htuna").splitlines()
        counts = [sum(line.split()[0] == name for line in listed) for name in ("tcp", "udp")]
        files = (Path("/proc/self/net", name).read_bytes() for name in ("sockstat", "sockstat6"))
        return counts, parse_counts(*files)

    counts, parsed = other.call(hold)
    assert counts == [4, 2]
    assert parsed == tuple(counts)


@pytest.mark.root
def test_a_namespace_that_ends_while_it_is_read_is_left_out(monkeypatch):
    """If its first process ends, the next one in it is read; without any it is left out."""
    with container() as other, container(connections=2) as process:
        listing = namespaces.list_namespaces()
        inode = os.stat(f"/proc/{process.pid}/ns/net").st_ino
        stale = {os.stat(f"/proc/{other.pid}/ns/net").st_ino: [other.pid], inode: [other.pid, process.pid]}
        other.kill()
        other.wait()
        monkeypatch.setattr(namespaces, "list_namespaces", lambda _: listing._replace(pids=stale, hidden=0))
        found = NamespaceReader().read()
    assert [(each.inode, each.total) for each in found.entries] == [(inode, 5)]


@pytest.mark.root
def test_a_process_that_leaves_while_it_is_read_does_not_count(monkeypatch):
    """Its sockets, or those of the namespace that it moved to, are not those of the one that it was in."""
    order, answer = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        held = []
        for _ in range(2):
            assert ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0
            held += [socket.create_server(("", 0)) for _ in range(3)]
            os.write(answer[1], b"x")
            os.read(order[0], 1)
    list_namespaces = namespaces.list_namespaces

    def listing(seen):
        found = list_namespaces(seen)
        os.write(order[1], b"x")
        os.read(answer[0], 1)
        return found

    try:
        os.read(answer[0], 1)
        before = os.stat(f"/proc/{child}/ns/net").st_ino
        monkeypatch.setattr(namespaces, "list_namespaces", listing)
        found = [each.inode for each in NamespaceReader().read().entries]
        after = os.stat(f"/proc/{child}/ns/net").st_ino
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert before != after
    assert before not in found


@pytest.mark.root
@pytest.mark.parametrize("flags", [CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET])
def test_a_namespace_that_any_user_can_make_does_not_belong_here(flags):
    """It belongs to a user namespace of its own."""

    def make():
        if flags & CLONE_NEWUSER:
            os.setuid(65534)
        assert ctypes.CDLL(None).unshare(flags) == 0
        os.write(write_end, b"x")
        time.sleep(600)

    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        make()
    try:
        os.read(read_end, 1)
        (found,) = (each for each in NamespaceReader().read().entries if each.pid == child)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert found.belongs_here is (flags == CLONE_NEWNET)
    assert namespace_owner.belongs_here(child) is False


@pytest.mark.parametrize(
    ("machine", "number"),
    [
        ("x86_64", 0xB701),
        ("s390x", 0xB701),
        ("aarch64", 0xB701),
        ("ppc64le", 0x2000B701),
        ("mips64", 0x2000B701),
    ],
)
def test_the_request_for_the_owner_has_another_number_on_some_processors(machine, number):
    """A wrong number is refused, and then no namespace would belong to this host."""
    assert namespace_owner.request_number(machine) == number


@pytest.mark.root
def test_a_process_without_its_first_thread_is_not_hidden():
    """Its other threads are in the namespace; a process that has ended has none."""

    def hold():
        assert ctypes.CDLL(None).unshare(CLONE_NEWNET) == 0
        threading.Thread(target=serve).start()
        ctypes.CDLL(None).pthread_exit(None)

    def serve():
        held = [socket.create_server(("", 0)) for _ in range(3)]
        while not Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].startswith(" Z"):
            time.sleep(0.01)
        os.write(write_end, b"x")
        time.sleep(600 + len(held))

    read_end, write_end = os.pipe()
    ended = os.fork()
    if ended == 0:
        os._exit(0)
    child = os.fork()
    if child == 0:
        hold()
    try:
        os.read(read_end, 1)
        inode = os.stat(f"/proc/{max(map(int, os.listdir(f'/proc/{child}/task')))}/ns/net").st_ino
        found = [each.tcp for each in NamespaceReader().read().entries if each.inode == inode]
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.waitpid(ended, 0)
    assert found == [3]


@pytest.mark.root
def test_without_a_descriptor_the_counts_are_unknown(monkeypatch):
    """The namespace is not left out, as one that has ended."""
    with container() as process:
        inode = os.stat(f"/proc/{process.pid}/ns/net").st_ino
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        identify = NamespaceReader._identify

        def fill(reader, listing, folder):
            identify(reader, listing, folder)
            resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))

        monkeypatch.setattr(NamespaceReader, "_identify", fill)
        try:
            found = NamespaceReader().read()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert [(each.tcp, each.udp) for each in found.entries if each.inode == inode] == [(None, None)]


@pytest.mark.root
def test_a_visitor_does_not_name_a_namespace():
    """A process with a lower pid that enters later does not rename it, until the first one has left."""
    order, answer = os.pipe(), os.pipe()
    visitor = os.fork()
    if visitor == 0:
        pid = int(os.read(order[0], 10))
        with open(f"/proc/{pid}/ns/net") as place:
            ctypes.CDLL(None).setns(place.fileno(), CLONE_NEWNET)
        os.write(answer[1], b"x")
        time.sleep(600)
    reader, found = NamespaceReader(), []
    try:
        with container(docker()[1]) as process:
            inode = os.stat(f"/proc/{process.pid}/ns/net").st_ino

            def read():
                (each,) = (entry for entry in reader.read().entries if entry.inode == inode)
                found.append((each.pid, each.container is not None))

            read()
            os.write(order[1], str(process.pid).encode())
            os.read(answer[0], 1)
            read()
            process.kill()
            process.wait()
            read()
    finally:
        os.kill(visitor, signal.SIGKILL)
        os.waitpid(visitor, 0)
    assert visitor < process.pid
    assert found == [(process.pid, True), (process.pid, True), (visitor, False)]


@pytest.mark.root
def test_what_names_a_namespace_is_read_again_until_it_stays(monkeypatch):
    """A name is read twice, then kept; it is read again when its time has passed."""
    reads = []
    read_name = namespace_reader.read_name
    monkeypatch.setattr(namespace_reader, "read_name", lambda pid: reads.append(pid) or read_name(pid))
    with container() as process:
        reader = NamespaceReader()
        counts = []
        for _ in range(4):
            reader.read()
            counts.append(reads.count(process.pid))
        monkeypatch.setattr(namespace_reader, "MAX_CACHE_S", 0.0)
        reader.read()
        counts.append(reads.count(process.pid))
    assert counts == [1, 2, 2, 2, 3]


@pytest.mark.root
def test_too_many_namespaces_are_cut(namespace, monkeypatch):
    """Past the maximum no more are read, and the reading says that it is not whole."""
    monkeypatch.setattr(namespaces, "MAX_NAMESPACES", 2)
    with container(), container(), container():
        found = NamespaceReader().read()
    assert (len(found.entries), found.is_whole) == (2, False)


@pytest.mark.root
def test_another_user_sees_how_many_processes_are_hidden(namespace):
    """Without rights no namespace of another user is known; nothing is an error."""

    def read():
        os.setuid(65534)
        found = NamespaceReader().read()
        return found.entries, found.hidden_processes >= 1, found.failure, found.is_whole

    assert namespace().call(read) == ((), True, "", True)


@pytest.mark.root
def test_without_proc_the_reading_says_so(namespace):
    """Where /proc is not mounted, the reason is a part of the reading."""

    def read():
        assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
        run("mount", "--make-rprivate", "/")
        run("mount", "-t", "tmpfs", "none", "/proc")
        return NamespaceReader().read()

    reason = "FileNotFoundError: [Errno 2] No such file or directory: '/proc/thread-self/ns/net'"
    assert namespace().call(read) == Namespaces(failure=reason, is_whole=False)


@pytest.mark.root
def test_a_namespace_is_entered_for_one_call():
    """The call sees the other network; the calling thread, and an error of the call, stay what they are."""

    def refuse():
        raise ValueError("no answer")

    with container(veth="v-entry") as process:
        inode = os.stat(f"/proc/{process.pid}/ns/net").st_ino
        inside = call_in_namespace(process.pid, inode, socket.if_nameindex)
        with pytest.raises(ValueError, match="no answer"):
            call_in_namespace(process.pid, inode, refuse)
        outside = socket.if_nameindex()
    assert [name for _, name in inside] == ["lo", "eth0"]
    assert "v-entry" in [name for _, name in outside]


@pytest.mark.root
def test_another_namespace_than_meant_is_not_entered():
    """A process that has ended, or that is in another namespace now, is an error."""
    with container() as process:
        inode = os.stat(f"/proc/{process.pid}/ns/net").st_ino
        with pytest.raises(ProcessLookupError, match="another network namespace"):
            call_in_namespace(process.pid, inode + 1, socket.if_nameindex)
    with pytest.raises(FileNotFoundError):
        call_in_namespace(process.pid, inode, socket.if_nameindex)
