"""The sources of losses: half-open connections and UDP sockets, from built messages and recordings."""

import socket
import struct

import pytest

from network_health.model import UdpSocket
from network_health.sources.linux import half_open, netlink, udp_sockets
from network_health.sources.linux.errors import KernelFormatError
from tests.sources.linux import recorded

DONE = netlink.HEADER.pack(20, netlink.DONE, 2, 1, 0) + bytes(4)
HOST, PEER = bytes([10, 0, 0, 1]), bytes([10, 9, 8, 7])


def message(kind, port, remote, remote_port=0, cookie=0, inode=0, memory=None):
    """One socket of sock_diag; ``memory`` are the bytes to send, their maximum and the drops."""
    body = struct.pack("=BB2xHH", socket.AF_INET, 7, socket.htons(port), socket.htons(remote_port))
    body += HOST.ljust(16, b"\0") + remote.ljust(16, b"\0") + struct.pack("=4xQ16xI", cookie, inode)
    if memory:
        queued, limit, drops = memory
        values = struct.pack("=9I", 0, 0, queued, limit, 0, 0, 0, 0, drops)
        body += struct.pack("=HH", 4 + len(values), 7) + values
    return netlink.HEADER.pack(16 + len(body), kind, 2, 1, 0) + body


def test_only_lossy_udp_sockets_become_objects():
    """A socket that lost nothing, and whose send buffer is less than half full, is left out."""
    rows = [(0, 1000, 0), (499, 1000, 0), (500, 1000, 0), (0, 1000, 3), None]
    datagram = b"".join(
        message(20, 53, PEER, 99, cookie, 40 + cookie, memory) for cookie, memory in enumerate(rows)
    )
    found = []
    assert udp_sockets.parse(datagram + DONE, found)
    assert found == [
        UdpSocket(HOST, 53, PEER, 99, 42, 2, drops=0, queued=500, send_limit=1000),
        UdpSocket(HOST, 53, PEER, 99, 43, 3, drops=3, queued=0, send_limit=1000),
    ]


def test_half_open_connections_are_counted_by_port_and_address(monkeypatch):
    """Beyond the bound an address is counted with its port only."""
    monkeypatch.setattr(half_open, "_MAX_ADDRESSES", 2)
    rows = [(80, PEER), (80, PEER), (81, HOST), (80, bytes(4))]
    datagram = b"".join(message(18, port, address) for port, address in rows) + DONE

    def dump(_request, empty, parse):
        listing = empty()
        assert parse(datagram, listing)
        return listing

    monkeypatch.setattr(half_open.inet_diag, "dump", dump)
    assert half_open.read_half_open() == [(80, 3, {PEER: 2}), (81, 1, {HOST: 1})]


@pytest.mark.parametrize(
    ("parse", "empty", "recording"),
    [(udp_sockets.parse, list, "udp6"), (half_open.parse, half_open.Listing, "every_state")],
)
def test_a_shortened_message_is_an_error(parse, empty, recording):
    """A recording is parsed; the same with a message that ends too early is refused."""
    recorded.parsed(parse, empty(), f"sock_diag/{recording}")
    damaged = bytearray(recorded.datagrams(f"sock_diag/{recording}")[0])
    struct.pack_into("=I", damaged, 0, 60)
    with pytest.raises(KernelFormatError):
        parse(bytes(damaged), empty())
