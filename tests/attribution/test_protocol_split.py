"""How much of an interface's bytes is not TCP: lower bounds from the counters of the host."""

from dataclasses import replace

import pytest

from network_health.attribution import rate_culprits
from network_health.attribution.interface_paths import RECEIVED, SENT, Crossing, InterfacePaths
from network_health.attribution.process_traffic import by_process, with_parts
from network_health.attribution.protocol_split import NotTcp, ProtocolSplit, part_of
from network_health.attribution.traffic_window import Window
from network_health.collectors import counted_since
from network_health.model import (
    ANOTHER_PROCESS,
    Attribution,
    IpCounters,
    Link,
    Protocols,
    SocketResent,
    SocketTraffic,
    Traffic,
    TrafficPart,
)
from network_health.reporting.network import traffic_metrics
from tests.attribution.test_culprits import owner_of
from tests.attribution.test_rate_culprits import ETH0, traffic

LINKS = {
    1: Link("lo", up=True, index=1, mtu=65536),
    2: Link("eth0", up=True, index=2, mtu=1500),
    3: Link("eth1", up=True, index=3, mtu=1500),
}
NONE = IpCounters((0, 0), 0, (0, 0), (0, 0), (0, 0), 0, 0, 0)
#: A thousand datagrams of 1,000 bytes, in each direction.
FLOOD = NONE._replace(octets=(1_000_000, 1_000_000), datagrams=(1000, 1000))
CARRIED = {1: (0, 0), 2: (1_014_000, 1_014_000), 3: (0, 0)}
PACKETS = {1: (0, 0), 2: (1000, 1000), 3: (0, 0)}
ALL = NotTcp(1_000_000, 1000, 0, is_all=True)


def split(
    counted=FLOOD, carried=None, packets=None, direction=SENT, sockets=(), links=LINKS, target=2, whole=True
):
    """What is not TCP of one interface; ``sockets`` have crossed it."""
    carried, packets = CARRIED | (carried or {}), PACKETS | (packets or {})
    window = Window(1.0, tuple(sockets), (), whole, carried, packets=packets, counted=counted)
    crossings = {2: [Crossing([(each, None) for each in sockets], 0)]}
    paths = InterfacePaths(links)
    return ProtocolSplit(direction, window, counted, paths, lambda index: crossings.get(index, [])).of(target)


@pytest.mark.parametrize("direction", [SENT, RECEIVED])
def test_a_flood_is_not_tcp(direction):
    """All bytes of IP packets and all datagrams are those of the only interface with traffic."""
    assert split(direction=direction) == ALL


@pytest.mark.parametrize(
    ("counted", "found"),
    [
        ({"datagrams": (0, 0), "icmp_messages": (1000, 0)}, NotTcp(1_000_000, 0, 1000, True)),
        ({"datagrams": (400, 0), "icmp_messages": (600, 0)}, NotTcp(1_000_000, 400, 600, True)),
        ({"segments": (200, 0)}, NotTcp(700_000, 1000, 0, True)),
        ({"segments": (700, 0)}, None),
        ({"forwarded": 100, "octets": (1_000_000, 0)}, ALL._replace(octets=800_000)),
        ({"datagrams": (2000, 0)}, NotTcp(1_000_000, 1000, 0, False)),
        ({"datagrams": (5, 0)}, None),
        ({"datagrams": (10, 0)}, NotTcp(655_530, 10, 0, True)),
        ({"datagrams": (0, 0)}, None),
    ],
)
def test_sent_bytes_that_may_be_something_else_do_not_count(counted, found):
    """Segments count as full packets; what arrived may have been forwarded; packets are those of the link."""
    assert split(FLOOD._replace(**counted), {2: (1_014_000, 100_000)}) == found


@pytest.mark.parametrize(
    ("counted", "found"),
    [
        ({"segments": (0, 1000)}, ALL._replace(octets=920_000)),
        ({"segments": (0, 1000), "aborted": 1}, None),
        ({"undelivered": 1}, ALL._replace(octets=934_447)),
        ({"undelivered": 100}, None),
        ({"multicast_octets": 900_000}, ALL._replace(octets=100_000)),
        ({"forwarded": 2}, ALL._replace(octets=868_894)),
    ],
)
def test_received_bytes_that_may_be_something_else_do_not_count(counted, found):
    """Filtered packets, copies of sent multicast, forwarded packets, connections whose bytes are lost."""
    assert split(FLOOD._replace(**counted), direction=RECEIVED) == found


def test_bytes_of_sockets_are_tcp():
    """They are taken with a tenth more, because both readings differ a little."""
    sockets = [traffic(0, 600_000)]
    assert split(direction=RECEIVED, sockets=sockets) == ALL._replace(octets=340_000)
    assert split(direction=RECEIVED, sockets=[traffic(0, 950_000)]) is None
    assert split(direction=RECEIVED, sockets=sockets, whole=False) == ALL._replace(octets=414_000)


@pytest.mark.parametrize(
    ("octets", "packets", "found"),
    [
        (100_000, 10, NotTcp(900_000, 990, 0, True)),
        (100_000, 100, NotTcp(900_000, 900, 0, False)),
        (1_000_000, 100, None),
        (1000, 1000, None),
    ],
)
@pytest.mark.parametrize("other", [1, 3])
def test_what_another_interface_carried_does_not_count(octets, packets, found, other):
    """Neither its bytes nor its packets; ``lo`` is another interface, too."""
    assert split(carried={other: (octets, 0)}, packets={other: (packets, 0)}) == found


def test_a_tunnel_counts_twice():
    """Its packets pass IP as they are and with further headers, so a share is not known."""
    tunnel = {4: Link("wg0", up=True, index=4, mtu=1420, kind="wireguard")}
    assert split(links=LINKS | tunnel, carried={4: (490_000, 0)}, packets={4: (400, 0)}) is None
    assert split(links=LINKS | tunnel, carried={4: (0, 0)}, packets={4: (0, 0)}) == ALL


def test_the_uplink_of_a_bridge_and_the_bridge():
    """What the bridge sent itself crossed its port; what else the port carried may be that of a machine."""
    links = LINKS | {
        2: Link("eth0", up=True, index=2, mtu=1500, master=4),
        4: Link("br0", up=True, index=4, mtu=1500, kind="bridge"),
    }
    carried, packets = {4: (1_014_000, 0)}, {4: (1000, 0)}
    assert split(links=links, carried=carried, packets=packets) == ALL
    assert split(links=links, carried=carried, packets=packets, target=4) == ALL


@pytest.mark.parametrize("lost", ["carried", "packets"])
def test_nothing_is_known_beside_an_unknown_interface(lost):
    """An interface that is new, or whose counters went back, may have carried anything."""
    links = LINKS | {4: Link("eth2", up=True, index=4, mtu=1500)}
    known = {"carried": {4: (0, 0)}, "packets": {4: (0, 0)}}
    assert split(links=links, **known) == ALL
    assert split(links=links, **{name: value for name, value in known.items() if name != lost}) is None


def test_an_interface_without_mtu_is_not_known():
    """Without it the size of its segments is not known."""
    assert split(links={1: LINKS[1], 2: Link("eth0", up=True, index=2)}) is None


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (NotTcp(980, 27_100, 0, True), "98% not TCP: 27,100 UDP datagrams/s"),
        (NotTcp(980, 0, 50, True), "98% not TCP: 50 ICMP messages/s"),
        (NotTcp(980, 600, 400, True), "98% not TCP: 600 UDP datagrams/s and 400 ICMP messages/s"),
        (NotTcp(980, 99, 1, False), "98% not TCP: at least 99 UDP datagrams/s"),
        (NotTcp(99, 50, 0, True), ""),
    ],
)
def test_the_text(found, text):
    """The share, and the kinds of packets that are a tenth of them; nothing below a tenth of the bytes."""
    assert part_of(found, 1000, 1.0).text == text


def test_the_evidence():
    """The bytes, their share, and the packets per second."""
    assert part_of(NotTcp(500, 30, 10, True), 1000, 2.0).evidence == {
        "bytes": 500,
        "percent": 50.0,
        "udp_datagrams_per_sec": 15.0,
        "icmp_messages_per_sec": 5.0,
    }


def test_what_was_counted_since():
    """A counter that went back, or that is not known, is unknown; only undelivered packets may go back."""
    before, now = FLOOD._replace(undelivered=3), FLOOD._replace(octets=(1_000_500, 1_000_001), undelivered=1)
    assert counted_since(before, now) == NONE._replace(octets=(500, 1))
    assert [counted_since(*both) for both in ((now, before), (None, now), (now, None))] == [None] * 3


def test_what_is_unattributed():
    """TCP of unknown processes, what was sent again, and what is not TCP; without empty parts."""
    owned = [(traffic(10, 20), (7,)), (traffic(3, 4), None), (traffic(1, 1), (7, ANOTHER_PROCESS))]
    resent = [SocketResent(traffic(0, 0).socket, 2, 500)]
    whole = Traffic(1.0, (), 1000, 1000)
    assert with_parts(whole, owned, resent, (80, 0)) == replace(
        whole,
        tcp=(14, 25),
        unattributed_parts=(
            TrafficPart("tcp", 4, 5),
            TrafficPart("resent", 500, 0),
            TrafficPart("not_tcp", 80, 0),
        ),
    )
    assert with_parts(whole, owned[:1], [], (0, 0)).unattributed_parts == ()
    udp = [(traffic(30, 0)._replace(protocol="udp"), each) for each in ((7,), None)]
    found = with_parts(whole, [*owned[:1], *udp], [], (80, 0))
    assert (found.tcp, found.unattributed_parts) == ((10, 20), (TrafficPart("not_tcp", 50, 0),))


def test_the_protocol_of_a_process_has_most_of_its_bytes():
    """A process may use several protocols."""
    udp = traffic(50, 0)._replace(protocol="udp")
    found = by_process([(traffic(10, 20), (7,)), (udp, (7,)), (traffic(1, 0), (8,))], 1.0, (0, 0), True)
    assert {each.pid: each.protocol for each in found.processes} == {7: "udp", 8: "tcp"}


def test_the_traffic_of_the_host():
    """Rates of all counters; the bytes of TCP only if they were read."""
    counted = IpCounters((10**6, 2 * 10**6), 0, (40, 20), (10, 5), (100, 50), 8, 0, 0)
    protocols = Protocols(window_s=4.0, ip=counted)
    of_ip = {
        "window_s": 4.0,
        "ip_tx_mbps": 2.0,
        "ip_rx_mbps": 4.0,
        "udp_tx_datagrams_per_sec": 10.0,
        "udp_rx_datagrams_per_sec": 5.0,
        "icmp_tx_messages_per_sec": 2.5,
        "icmp_rx_messages_per_sec": 1.25,
        "tcp_tx_segments_per_sec": 25.0,
        "tcp_rx_segments_per_sec": 12.5,
        "forwarded_packets_per_sec": 2.0,
    }
    assert traffic_metrics(protocols, None) == {"traffic": of_ip}
    attribution = Attribution(traffic=Traffic(2.0, (), 0, 0, tcp=(10**6, 0)))
    of_tcp = {"tcp_tx_mbps": 4.0, "tcp_rx_mbps": 0.0}
    assert traffic_metrics(protocols, attribution) == {"traffic": of_ip | of_tcp}
    unknown = Protocols(ip=counted), Protocols(window_s=1.0)
    assert [traffic_metrics(each, None) for each in unknown] == [{}, {}]


@pytest.mark.parametrize(("known", "is_said"), [(0, True), (90, True), (900, False)])
def test_bytes_of_known_processes_are_not_said_twice(known, is_said):
    """What is not TCP is in the clause unless processes that are named have these bytes."""
    part = part_of(NotTcp(980, 90, 0, True), 1000, 1.0)
    crossings = [Crossing([(traffic(known, 0), (1001,))], 0)]
    clause, evidence = rate_culprits.of_rate(ETH0, "outbound", crossings, 1000, owner_of, {}, 5, "", part)
    assert ("98% not TCP: 90 UDP datagrams/s" in clause, evidence["not_tcp"]) == (is_said, part.evidence)


def test_a_socket_that_moved_nothing_has_no_bytes():
    """The traffic of sockets counts by direction."""
    assert split(sockets=[SocketTraffic(traffic(0, 0).socket, 0, 900_000)]) == ALL
