"""How many packets of an interface were certainly forwarded: tables, and a property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.attribution import forwarded_packets
from network_health.attribution.interface_paths import RECEIVED, SENT, InterfacePaths
from network_health.model import IpCounters, Link

LO, ETH0, ETH1, BR, TAP = range(1, 6)
LINKS = {
    LO: Link("lo", True, LO),
    ETH0: Link("eth0", True, ETH0),
    ETH1: Link("eth1", True, ETH1),
    BR: Link("br", True, BR, kind="bridge"),
    TAP: Link("tap", True, TAP, master=BR),
}


def counted(forwarded, segments=0, datagrams=0, icmp=0, multicast=0):
    return IpCounters((0, 0), multicast, (datagrams, 0), (icmp, 0), (segments, 0), forwarded, 0, 0)


def at_least(target, direction, packets, counters):
    """``packets`` are the sent and received ones of eth0, eth1, br and tap."""
    of_interface = dict(zip((LO, ETH0, ETH1, BR, TAP), ((7, 7), *packets), strict=False))
    return forwarded_packets.at_least(target, direction, InterfacePaths(LINKS), of_interface, counters)


IDLE = (0, 0)


@pytest.mark.parametrize(
    ("target", "direction", "packets", "counters", "found"),
    [
        # All of it comes by eth1 and leaves by eth0.
        (ETH0, SENT, [(1000, 5), (5, 1000), IDLE, IDLE], counted(990), 985),
        (ETH1, RECEIVED, [(1000, 5), (5, 1000), IDLE, IDLE], counted(990), 985),
        # The answers may be all that was forwarded to eth1.
        (ETH0, SENT, [(1000, 900), (900, 1000), IDLE, IDLE], counted(1900), 1000),
        (ETH0, SENT, [(1000, 900), (900, 1000), IDLE, IDLE], counted(1000), 100),
        # What the host itself sent may be what eth0 carried, if forwarded packets were dropped.
        (ETH0, SENT, [(1000, 5), (5, 1000), IDLE, IDLE], counted(1000, segments=900), 100),
        (ETH0, SENT, [(1000, 5), (5, 1000), IDLE, IDLE], counted(1000, datagrams=3, icmp=1), 488),
        (ETH0, SENT, [(1000, 5), (5, 1000), IDLE, IDLE], counted(1000, segments=1001), 0),
        (ETH1, RECEIVED, [(1000, 5), (5, 1000), IDLE, IDLE], counted(1000, segments=900), 995),
        # To several hosts: each copy is counted as forwarded.
        (ETH1, RECEIVED, [(1000, 0), (0, 1000), IDLE, IDLE], counted(1000, multicast=2000), 900),
        # The port of a bridge sends what the bridge switches; the bridge itself sends what is forwarded.
        (BR, SENT, [(0, 500), IDLE, (500, 0), (500, 0)], counted(500), 500),
        (BR, SENT, [(0, 500), IDLE, (300, 0), (500, 0)], counted(500), 300),
        (TAP, SENT, [(0, 500), IDLE, (500, 0), (500, 0)], counted(500), 0),
        (TAP, RECEIVED, [(500, 0), IDLE, (0, 500), (0, 500)], counted(500), 500),
        # An interface without counters may have carried all of it.
        (ETH0, SENT, [(1000, 5)], counted(990), 0),
        (ETH0, SENT, [(1000, 0), (0, 1000), IDLE, IDLE], counted(0), 0),
    ],
)
def test_only_what_no_other_interface_can_have_carried_counts(target, direction, packets, counters, found):
    """Of what was forwarded, and of what the interface carried."""
    assert at_least(target, direction, packets, counters) == found


@given(st.data())
def test_the_bound_is_never_above_the_truth(data):
    """Packets that are forwarded in both ways, and dropped, and made by the host: at most the true number."""
    number = st.integers(0, 1000)
    forth, back, lost, own = (data.draw(number) for _ in range(4))
    lost = min(lost, forth)
    packets = [(forth - lost + own, back), (back, forth), IDLE, IDLE]
    counters = counted(forth + back, segments=own)
    assert at_least(ETH0, SENT, packets, counters) <= forth - lost
    assert at_least(ETH1, RECEIVED, packets, counters) <= forth
    assert at_least(ETH0, RECEIVED, packets, counters) <= back
