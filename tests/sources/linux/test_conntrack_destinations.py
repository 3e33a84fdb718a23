"""Where a tracked connection is redirected to, from answers of the kernel."""

import socket
import struct

import pytest

from network_health.model import FlowTuple
from network_health.sources.linux.conntrack_destinations import parse_destination
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.netlink import attribute

ONE, PUBLISHED, TWO, HOST = map(socket.inet_aton, ("10.9.0.2", "10.99.0.1", "10.9.0.3", "10.9.0.1"))
ASKED = FlowTuple(ONE, PUBLISHED, 40000, 80)
ANSWERED = FlowTuple(TWO, HOST, 8080, 40000)
NESTED = 0x8000


def packed(kind, flow):
    """A tuple as the kernel sends it."""
    ip = attribute(1, flow.source) + attribute(2, flow.destination)
    protocol = attribute(1, b"\6") + b"".join(
        attribute(n, struct.pack("!H", port)) for n, port in ((2, flow.source_port), (3, flow.port))
    )
    return attribute(NESTED | kind, attribute(NESTED | 1, ip) + attribute(NESTED | 2, protocol))


def message(body, kind=0x100):
    return struct.pack("=IHHIIBBH", 20 + len(body), kind, 0, 1, 0, 2, 0, 0) + body


@pytest.mark.parametrize(("asked", "destination"), [(ASKED, TWO), (ANSWERED, ONE)])
def test_the_other_side_of_the_entry_is_the_destination(asked, destination):
    """Of the original packets it is who answers, of the answers who began."""
    assert parse_destination(message(packed(1, ASKED) + packed(2, ANSWERED)), asked) == destination


@pytest.mark.parametrize(
    "datagram",
    [
        message(packed(1, ASKED) + packed(2, ANSWERED), kind=0x101),
        message(packed(1, ANSWERED) + packed(2, ANSWERED)),
        message(packed(1, ASKED)[:-3]),
        message(b""),
        b"",
    ],
)
def test_an_answer_of_another_format(datagram):
    """It is refused: another message, another connection, cut attributes, none."""
    with pytest.raises(KernelFormatError):
        parse_destination(datagram, ASKED)


def test_an_entry_that_is_not_there():
    """The kernel's error is raised."""
    with pytest.raises(FileNotFoundError):
        parse_destination(struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -2), ASKED)
