"""What the bytes without a known process are made of: tables, and a property of their sum."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.attribution import unattributed_parts
from network_health.attribution.process_traffic import with_parts
from network_health.attribution.traffic_window import Window
from network_health.model import IpCounters, Link, ProcessTraffic, Socket, SocketTraffic, Traffic, TrafficPart

LO, ETH0, ETH1, VETH, VX = range(1, 6)
LINKS = {
    LO: Link("lo", True, LO, mtu=65536),
    ETH0: Link("eth0", True, ETH0, mtu=1500),
    ETH1: Link("eth1", True, ETH1, mtu=1500),
    VETH: Link("veth", True, VETH, mtu=1500, peer_namespace=3),
}
TUNNEL = {VX: Link("vx", True, VX, kind="vxlan")}
SOCKET = Socket("ESTABLISHED", bytes(4), 1, bytes(4), 2, 3, 4)
QUIET = IpCounters((0, 0), 0, (0, 0), (0, 0), (0, 0), 0, 0, 0)
MB = 1_000_000


def window(counted, received=0, packets=(0, 0), whole=True, **carried):
    """A window in which each named interface carried these bytes, sent and received, in ``packets``."""
    names = {"lo": LO, "eth0": ETH0, "eth1": ETH1, "veth": VETH, "vx": VX}
    octets = dict.fromkeys(LINKS, (0, 0)) | {names[name]: both for name, both in carried.items()}
    traffic = (SocketTraffic(SOCKET, 0, received),) if received else ()
    of_packets = dict.fromkeys(octets, packets)
    return Window(1.0, traffic, (), whole, octets, packets=of_packets, counted=counted)


def parts(counted, links=LINKS, **more):
    """The parts that are not empty, by kind."""
    found = unattributed_parts.parts_of(window(counted, **more), links)
    return {kind: (sent, received) for kind, sent, received in found if sent or received}


def of_tcp(sent, received, packets, **more):
    return QUIET._replace(segments=(sent, received), packets=packets, **more)


@pytest.mark.parametrize(
    ("counted", "headers"),
    [
        (of_tcp(100, 50, (100, 50)), (4000, 2000)),
        # 100 segments left as 10 packets of up to 64 KiB.
        (of_tcp(100, 50, (10, 50)), (400, 2000)),
        # Of 100 packets 30 are UDP or ICMP.
        (of_tcp(100, 0, (100, 0), datagrams=(25, 0), icmp_messages=(5, 0)), (2800, 0)),
        (of_tcp(5, 0, (3, 0), datagrams=(9, 0)), None),
    ],
)
def test_headers_of_segments(counted, headers):
    """40 bytes for each packet that must be a segment of this host."""
    assert parts(counted).get("headers") == headers


def routed(octets, **more):
    """IP counters of a host that forwards so many bytes."""
    return QUIET._replace(octets=(octets, octets), forwarded=octets // 1000, **more)


TEN_SEGMENTS = {"segments": (0, 10), "packets": (0, 10)}


@pytest.mark.parametrize(
    ("counted", "more", "forwarded"),
    [
        (routed(9 * MB), {"eth0": (0, 9 * MB), "eth1": (9 * MB, 0)}, (9 * MB, 9 * MB)),
        # Dropped before they were sent.
        (routed(9 * MB), {"eth0": (0, 9 * MB), "eth1": (5 * MB, 0)}, (5 * MB, 9 * MB)),
        # What the host got itself, with its headers; or any size, if bytes of sockets are missing.
        (routed(9 * MB, **TEN_SEGMENTS), {"received": MB}, (0, 9 * MB - 1_100_800)),
        (routed(9 * MB, **TEN_SEGMENTS), {"received": MB, "whole": False}, (0, 9 * MB - 655_530)),
        (routed(9 * MB, **TEN_SEGMENTS, aborted=1), {"received": MB}, (0, 9 * MB - 655_530)),
        # Datagrams, and packets of unknown protocols, may have any size.
        (routed(9 * MB, datagrams=(0, 2), packets=(0, 3)), {}, (0, 9 * MB - 3 * 65_553)),
        (routed(9 * MB, undelivered=2, icmp_messages=(0, 1), packets=(0, 1)), {}, (0, 9 * MB - 3 * 65_553)),
        # What left may be the host's own.
        (routed(9 * MB, segments=(1000, 0)), {"eth1": (9 * MB, 0)}, (9 * MB - 1_518_000, 9 * MB)),
        (routed(9 * MB, datagrams=(2, 0)), {"eth1": (9 * MB, 0)}, (9 * MB - 131_106, 9 * MB)),
        # No more than the largest packets.
        (QUIET._replace(octets=(0, 9 * MB), forwarded=1), {}, (0, 65_553)),
        (QUIET._replace(octets=(0, 9 * MB)), {}, None),
    ],
)  # fmt: skip
def test_forwarded_bytes(counted, more, forwarded):
    """What arrived and cannot be for the host itself, and what left and cannot be from it."""
    assert parts(counted, **more).get("forwarded") == forwarded


def test_packets_of_a_tunnel_are_counted_twice():
    """IP counts them as they are, and with the headers of the tunnel; an unknown tunnel leaves nothing."""
    links = LINKS | TUNNEL
    found = parts(routed(9 * MB), links, packets=(5, 10), vx=(0, MB), eth1=(9 * MB, 0))
    assert found["forwarded"] == (9 * MB - 2 * MB - 1000,) * 2
    assert parts(routed(9 * MB), links) == {}
    assert parts(None) == {}


@pytest.mark.parametrize(
    ("octets", "veth", "found"),
    [
        ((0, 0), (MB, 2 * MB), (MB - 180, 2 * MB - 360)),
        ((MB, 0), (MB, 2 * MB), (0, 2 * MB - 360)),
        ((2 * MB, 2 * MB), (MB, 2 * MB), None),
    ],
)
def test_bytes_of_other_namespaces(octets, veth, found):
    """What their veths carried beyond all that IP of this host sent and received, without link headers."""
    counted = QUIET._replace(octets=octets)
    assert parts(counted, packets=(10, 20), veth=veth).get("other_namespaces") == found


NUMBERS = st.tuples(st.integers(0, 2000), st.integers(0, 2000))


@given(st.lists(NUMBERS, max_size=4), NUMBERS, NUMBERS, NUMBERS)
def test_parts_are_never_more_than_the_whole(others, carried, attributed, not_tcp):
    """Whatever the counters say, all parts together fit into the bytes without a process."""
    process = ProcessTraffic(7, *(min(*both) for both in zip(attributed, carried, strict=True)), 1)
    traffic = Traffic(1.0, (process,), *carried)
    unknown = [(SocketTraffic(SOCKET, 300, 400), None)]
    found = with_parts(traffic, unknown, [], not_tcp, (TrafficPart("headers", *each) for each in others))
    assert sum(each.sent for each in found.unattributed_parts) <= traffic.sent - process.sent
    assert sum(each.received for each in found.unattributed_parts) <= traffic.received - process.received
