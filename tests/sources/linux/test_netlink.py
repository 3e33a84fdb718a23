"""Netlink framing: complete dumps, and every error of a dump."""

import errno
import socket
import struct

import pytest

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError
from tests.sources.linux import recorded

INTERRUPTED = 0x10


def message(kind, body=b"", flags=2, length=None):
    """One message, padded as the kernel pads."""
    data = netlink.HEADER.pack(length or 16 + len(body), kind, flags, 1, 0) + body
    return data + bytes(-len(data) % 4)


DONE = message(netlink.DONE, bytes(4))


@pytest.fixture
def kernel(monkeypatch):
    """A kernel that answers each request with the next list of datagrams; returns its ends of the sockets."""

    def answer(*answers):
        ends = []
        left = list(answers)

        def connect(protocol):
            here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
            ends.append(there)
            here.settimeout(0.1)
            for datagram in left.pop(0):
                there.send(datagram)
            return here

        monkeypatch.setattr(netlink, "_connect", connect)
        return ends

    return answer


def collect(datagram, bodies):
    for kind, start, end in netlink.messages(datagram):
        if kind == netlink.DONE:
            return True
        bodies.append(datagram[start:end])
    return False


def test_messages_are_walked_up_to_the_last_one():
    """Bodies of different lengths start at multiples of four; the end of the dump is the last message."""
    datagram = message(18, b"abcde") + message(18, b"") + message(20, b"abcd") + DONE + b"beyond"
    found = [(kind, datagram[start:end]) for kind, start, end in netlink.messages(datagram)]
    assert found == [(18, b"abcde"), (18, b""), (20, b"abcd"), (netlink.DONE, bytes(4))]


DAMAGED = {
    "nothing": b"",
    "no whole header": message(18)[:15],
    "shorter than its header": message(18, b"", length=15),
    "of no length": struct.pack("=IHHII", 0, 18, 2, 1, 0),
    "longer than the datagram": message(18, b"abcd", length=24),
    "leftover after a message": message(18, b"abcd") + b"xyz",
    "error without a code": message(2, b"\1"),
    "end without a status": message(netlink.DONE),
    "status that is no error": message(netlink.DONE, struct.pack("=i", 7)),
    "status that no error has": message(2, struct.pack("=i", -(2**31))),
}


@pytest.mark.parametrize("datagram", DAMAGED.values(), ids=DAMAGED)
def test_damaged_framing_is_an_error(datagram):
    """Framing that does not fit is an error that names netlink."""
    with pytest.raises(KernelFormatError, match="netlink"):
        list(netlink.messages(datagram))


@pytest.mark.parametrize(
    ("recording", "number", "name"),
    [("netlink/no_such_protocol", errno.ENOENT, "ENOENT"), ("netlink/cut_request", errno.EINVAL, "EINVAL")],
)
def test_an_error_of_the_kernel_has_its_name(recording, number, name):
    """An error message is an OSError with its number, and its name in the text."""
    (datagram,) = recorded.datagrams(recording)
    with pytest.raises(OSError, match=name) as caught:
        list(netlink.messages(datagram))
    assert caught.value.errno == number


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def test_wanted_attributes_are_found():
    """The flags of a type are ignored; of two attributes with the same type the last one counts."""
    data = (
        b"head"
        + attribute(1, b"x")
        + attribute(2, b"12345")
        + attribute(0x8003, b"nest")
        + attribute(1, b"y")
    )
    assert netlink.attributes(data, 4, len(data), {1, 3}) == {1: b"y", 3: b"nest"}
    assert netlink.attributes(data, 4, 4, {1}) == {}


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("=HH", 0, 1),
        struct.pack("=HH", 3, 1),
        struct.pack("=HH", 9, 1) + b"1234",
        attribute(1, b"1234") + b"xy",
    ],
    ids=["of no length", "shorter than its header", "longer than the message", "leftover"],
)
def test_damaged_attributes_are_an_error(data):
    """An attribute that does not fit is an error that names netlink."""
    with pytest.raises(KernelFormatError, match="netlink"):
        netlink.attributes(data, 0, len(data), {1})


def test_a_dump_has_all_datagrams_up_to_the_end(kernel):
    """All datagrams are parsed, and there is no wait for another one after the end."""
    ends = kernel([message(18, b"one!") + message(18, b"two!"), message(18, b"last") + DONE])
    assert netlink.dump(4, b"request", list, collect) == [b"one!", b"two!", b"last"]
    assert len(ends) == 1


def test_the_request_is_sent_once(kernel):
    """The kernel receives the request of the caller."""
    ends = kernel([DONE])
    netlink.dump(4, b"request", list, collect)
    assert [end.recv(100) for end in ends] == [b"request"]


def test_an_interrupted_dump_is_repeated(kernel):
    """Messages from before the interruption are not counted twice."""
    half = [message(18, b"gone"), message(18, b"more", flags=2 | INTERRUPTED)]
    ends = kernel(half, half, [message(18, b"here") + DONE])
    assert netlink.dump(4, b"request", list, collect) == [b"here"]
    assert len(ends) == 3


def test_a_dump_that_is_interrupted_at_its_end_is_repeated(kernel):
    """The flag can be on the last message alone."""
    ends = kernel(
        [message(18, b"half") + message(netlink.DONE, bytes(4), flags=2 | INTERRUPTED)],
        [message(18, b"here") + DONE],
    )
    assert netlink.dump(4, b"request", list, collect) == [b"here"]
    assert len(ends) == 2


def test_a_dump_that_is_always_interrupted_is_an_error(kernel):
    """After a few attempts there is an error, not an endless loop."""
    ends = kernel(*[[message(18, b"more", flags=2 | INTERRUPTED)]] * 100)
    with pytest.raises(InterruptedError, match="EINTR"):
        netlink.dump(4, b"request", list, collect)
    assert 2 <= len(ends) <= 10


def test_a_socket_is_kept_for_the_next_dump(kernel):
    """Every dump has its own answer."""
    ends = kernel([message(18, b"one!") + DONE, message(18, b"two!") + DONE])
    kept = netlink.KeptSocket(0)
    assert [kept.dump(b"request", list, collect) for _ in range(2)] == [[b"one!"], [b"two!"]]
    assert len(ends) == 1


def test_after_an_error_the_next_dump_has_a_new_socket(kernel):
    """What is left of an interrupted dump is not taken for an answer to the next request."""
    interrupted = message(18, b"more", flags=2 | INTERRUPTED)
    ends = kernel([interrupted, message(18, b"late") + DONE], [message(18, b"here") + DONE])
    kept = netlink.KeptSocket(0)
    with pytest.raises(InterruptedError, match="EINTR"):
        kept.dump(b"request", list, collect)
    assert (kept.dump(b"request", list, collect), len(ends)) == ([b"here"], 2)


def test_a_dump_without_end_is_an_error(kernel):
    """If the answer has no end, there is a timeout."""
    kernel([message(18, b"half")])
    with pytest.raises(OSError, match="timed out"):
        netlink.dump(4, b"request", list, collect)


def test_a_truncated_datagram_is_an_error(kernel):
    """A datagram longer than the buffer is an error, and is not counted."""
    kernel([message(18, bytes(65536)) + DONE])
    with pytest.raises(KernelFormatError, match="65572"):
        netlink.dump(4, b"request", list, collect)


@pytest.mark.root
def test_only_the_kernel_can_answer():
    """Another process, also one of root, cannot send an answer."""
    with (
        netlink._connect(4) as real,
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as other,
        pytest.raises(ConnectionRefusedError),
    ):
        other.sendto(DONE, (real.getsockname()[0], 0))


def test_a_python_with_times_of_64_bits(monkeypatch):
    """On 32-bit systems its option for the timeout has another number, and takes 64 bits twice."""
    monkeypatch.setattr(socket, "SO_RCVTIMEO", 66)  # SO_RCVTIMEO_NEW, which a 64-bit kernel has as well
    with netlink._connect(4) as real:
        timeout = real.getsockopt(socket.SOL_SOCKET, 66, 16)
    assert struct.unpack("=qq", timeout)[0] > 0


def test_a_real_socket_has_a_timeout():
    """The wait for an answer is limited."""
    with netlink._connect(4) as real:
        timeout = real.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.calcsize("@ll"))
    assert struct.unpack("@ll", timeout)[0] > 0
