"""Bytes by process that the kernel counts with bpf(2), against what the sender counted."""

import contextlib
import ctypes
import os
import signal
import socket
import struct
import time

import pytest

from network_health.sources.linux import CallCounter, bpf
from network_health.sources.linux.errors import KernelFormatError
from tests.netns import veth
from tests.rights import as_nobody
from tests.running_kernel import needs_tracepoints

ROUNDS, SIZE = 200, 1000
#: Constants of the kernel: the option for the size of segments, and bpf(2)'s commands.
UDP_SEGMENT = 103
NEXT_PROGRAM, NEXT_MAP, INFO = 11, 12, 15


pytestmark = [pytest.mark.root, needs_tracepoints]


def received(address="127.0.0.1", kind=socket.SOCK_DGRAM):
    """A socket with a port, and its address."""
    end = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
    end.bind((address, 0))
    return end, end.getsockname()


def udp():
    """Connected datagrams."""
    end, address = received()
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.connect(address)
    for _ in range(ROUNDS):
        sender.send(bytes(SIZE))
        end.recv(SIZE, socket.MSG_PEEK)
        end.recv(SIZE)
    return "udp", address, ROUNDS * SIZE, ROUNDS * SIZE


def unconnected_ipv6():
    """Datagrams of a socket that has no peer."""
    end, address = received("::1")
    sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    for _ in range(ROUNDS):
        sender.sendto(bytes(SIZE), address)
        end.recv(SIZE)
    return "udp", None, ROUNDS * SIZE, ROUNDS * SIZE


def segmented():
    """Datagrams that the kernel cuts from larger sends."""
    end, address = received()
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sender.setsockopt(socket.SOL_UDP, UDP_SEGMENT, SIZE)
    sender.connect(address)
    for _ in range(ROUNDS):
        sender.send(bytes(5 * SIZE))
        for _ in range(5):
            end.recv(SIZE)
    return "udp", address, 5 * ROUNDS * SIZE, 5 * ROUNDS * SIZE


def dns():
    """A new socket for each small question."""
    end, address = received()
    for _ in range(ROUNDS):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(address)
            sender.send(bytes(40))
            end.recv(SIZE)
    return "udp", address, 40 * ROUNDS, 40 * ROUNDS


def tcp():
    """A stream, with the kernel's own copy of a file."""
    server = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(server.getsockname())
    end = server.accept()[0]
    with open("/proc/self/exe", "rb") as file:
        sent = os.sendfile(sender.fileno(), file.fileno(), 0, 100_000)
    sender.sendall(bytes(SIZE))
    sender.shutdown(socket.SHUT_WR)
    while end.recv(1 << 16):
        pass
    return "tcp", server.getsockname(), sent + SIZE, sent + SIZE


def icmp():
    """Echo requests; what raw sockets receive are copies."""
    sender = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    sender.connect(("127.0.0.1", 0))
    for _ in range(ROUNDS):
        sender.send(struct.pack("!BBHHH", 8, 0, 0xF7FF, 0, 0) + bytes(56))
    return "raw icmp", ("127.0.0.1", 0), 64 * ROUNDS, None


def packets():
    """Frames of a packet socket."""
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind(("lo", 0))
    for _ in range(ROUNDS):
        sender.send(bytes(SIZE))
    return "packet", None, SIZE * ROUNDS, None


def counted(work):
    """What a process of its own sent, and the traffic of that process."""
    with contextlib.closing(CallCounter()) as counter:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.write(write_end, repr(work()).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            said = eval(pipe.read())
        counter.stop()
        calls = counter.take()
    assert calls.lost == 0
    return said, [each for each in calls.traffic if each.pid == child]


@pytest.mark.parametrize("work", [udp, unconnected_ipv6, segmented, dns, tcp, icmp, packets])
def test_bytes_by_process(work):
    """Payload to the byte, with protocol and peer; what is only peeked at does not count."""
    (protocol, address, sent, got), traffic = counted(work)
    assert {each.protocol for each in traffic} == {protocol}
    assert sum(each.sent for each in traffic) == sent
    if got is not None:
        assert sum(each.received for each in traffic) == got
    peers = {
        (socket.inet_ntoa(each.remote), each.remote_port) for each in traffic if each.sent and each.remote
    }
    assert peers == ({address} if address else set())
    assert {each.namespace for each in traffic} == {os.stat("/proc/self/ns/net").st_ino}


def test_other_network_namespaces(namespace):
    """A process in another one has its bytes, its namespace, and its peer."""
    here, there = namespace(), namespace()
    veth(here, there)

    def work():
        there.enter()
        inode = os.stat("/proc/self/ns/net").st_ino
        sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sender.connect(("10.77.0.1", 9))
        sent = 0
        for _ in range(ROUNDS):
            with contextlib.suppress(ConnectionRefusedError):
                sent += sender.send(bytes(SIZE))
        return inode, sent

    (inode, sent), traffic = counted(work)
    assert [(each.namespace, each.sent, each.remote_port) for each in traffic] == [(inode, sent, 9)]
    assert socket.inet_ntoa(traffic[0].local) == "10.77.0.2"


def test_a_full_map():
    """What has no place is counted as lost; what has one is exact."""
    end, address = received()
    with contextlib.closing(CallCounter(max_entries=8)) as counter:
        senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
        for n, sender in enumerate(senders):
            sender.bind((f"127.0.1.{n + 1}", 0))
            sender.connect(address)
            sender.send(bytes(SIZE))
        counter.stop()
        calls = counter.take()
        assert 0 < len(calls.traffic) <= 8
        assert sum(each.sent for each in calls.traffic if each.pid == os.getpid()) + calls.lost >= 20 * SIZE
        assert counter.take()[:2] == ((), 0)
    assert end.recv(SIZE) == bytes(SIZE)


def test_a_map_that_is_full_again_at_once():
    """Others may take all places while entries are taken: their bytes are lost, and taking goes on."""
    end, address = received()
    senders = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(40)]
    for n, sender in enumerate(senders):
        sender.bind((f"127.0.1.{n + 1}", 0))
        sender.connect(address)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        while True:
            for sender in senders:
                sender.send(bytes(SIZE))
    taken = []
    try:
        with contextlib.closing(CallCounter(max_entries=8)) as counter:
            while len(taken) < 2000:
                taken.append(counter.take())
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert sum(calls.lost for calls in taken) > 0
    assert all(calls.lost >= 0 and len(calls.traffic) <= 8 for calls in taken)
    end.close()


@pytest.fixture
def loaded(monkeypatch):
    """How many programs and maps of this test the kernel has; those of other tests have other names."""
    name = f"nh-{os.getpid()}".replace("-", "_").encode()
    monkeypatch.setattr(bpf, "_NAME", name)
    return lambda: sum(each == name for each in names())


def names():
    """The names of all programs and maps."""
    for command, open_by_id, at in ((NEXT_PROGRAM, 13, 64), (NEXT_MAP, 14, 24)):
        last = 0
        while bpf._call(command, struct.pack("=II", last, 0))[0] >= 0:
            last = struct.unpack_from("=I", bpf._call(command, struct.pack("=II", last, 0))[1], 4)[0]
            descriptor = bpf._call(open_by_id, struct.pack("=I", last))[0]
            if descriptor >= 0:
                info = ctypes.create_string_buffer(256)
                bpf._call(INFO, struct.pack("=IIQ", descriptor, 256, ctypes.addressof(info)))
                os.close(descriptor)
                yield info.raw[at : at + 16].rstrip(b"\0")


def after_a_moment(loaded):
    """The kernel frees what was closed a moment later."""
    deadline = time.monotonic() + 60
    while loaded() and time.monotonic() < deadline:
        time.sleep(0.02)
    return loaded()


def test_nothing_is_left_when_it_is_closed(loaded):
    """Two programs and two maps while it counts, none afterwards."""
    with contextlib.closing(CallCounter()):
        assert loaded() == 4
    assert after_a_moment(loaded) == 0


def test_nothing_is_left_when_it_is_killed(loaded):
    """The same if the process gets SIGKILL while it counts."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        counter = CallCounter()
        os.write(write_end, b"x")
        time.sleep(60)
        counter.close()
        os._exit(1)
    os.read(read_end, 1)
    assert loaded() == 4
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert after_a_moment(loaded) == 0


def test_without_rights():
    """The kernel refuses, and the error says what was refused."""

    def attach():
        try:
            CallCounter().close()
        except OSError as error:
            return str(error)
        return ""

    assert as_nobody(attach) == "[Errno 1] bpf(2) cannot create a map: Operation not permitted"


def test_without_btf(monkeypatch, tmp_path):
    """A kernel without BTF is an error before anything is loaded."""
    monkeypatch.setattr("network_health.sources.linux.btf._KERNEL", tmp_path / "vmlinux")
    bpf._kernel_types.cache_clear()
    with pytest.raises(FileNotFoundError):
        CallCounter()
    bpf._kernel_types.cache_clear()


def test_without_the_tracepoint(monkeypatch, loaded):
    """A kernel before 6.3 has no type for it: the error says so, and nothing is loaded."""
    monkeypatch.setattr(bpf, "_TRACEPOINTS", ("btf_trace_sock_send_length", "btf_trace_none"))
    bpf._kernel_types.cache_clear()
    with pytest.raises(KernelFormatError, match="BTF has no btf_trace_none"):
        CallCounter()
    bpf._kernel_types.cache_clear()
    assert loaded() == 0


def test_a_program_that_is_refused(monkeypatch, loaded):
    """Offsets that the kernel does not confirm are an error, and nothing is left."""
    types = bpf._kernel_types()
    wrong = types._replace(offsets=types.offsets | {"net": {"ns": 3}})
    monkeypatch.setattr(bpf, "_kernel_types", lambda: wrong)
    with pytest.raises(OSError, match="cannot load a program"):
        CallCounter()
    assert after_a_moment(loaded) == 0


def test_the_cost_of_a_call():
    """At most 300 ns by the kernel's own statistics; the best of five, because others use the CPUs."""
    costs = []
    statistics = bpf._checked("count run time", 32, struct.pack("=I", 0))
    for _ in range(5):
        with contextlib.closing(CallCounter()) as counter:
            udp()
            runs = [run_of(descriptor) for descriptor in counter._attached]
        costs.append(sum(ns for ns, _ in runs) / sum(count for _, count in runs))
    os.close(statistics)
    assert min(costs) < 300, costs


def run_of(descriptor):
    """The run time and the number of runs of a program; zeros for its link to a tracepoint."""
    with open(f"/proc/self/fdinfo/{descriptor}") as file:
        fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    return int(fields.get("run_time_ns", 0)), int(fields.get("run_cnt", 0))
