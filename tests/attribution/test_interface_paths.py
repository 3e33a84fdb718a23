"""Which interfaces carried the bytes that are routed to one: tables, and a property."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.attribution import interface_paths
from network_health.attribution.interface_paths import (
    RECEIVED,
    ROUTES_DISAGREE,
    SENT,
    WAY_UNKNOWN,
    Crossing,
    Crossings,
    InterfacePaths,
    Way,
)
from network_health.model import Link, Socket, SocketTraffic

LO, ETH0, ETH1, TAP, BR, BOND, VLAN, MV0, MV1, VX = range(1, 11)


def links(**stack):
    """Interfaces by index; ``stack`` has the fields of those that are stacked, by name."""
    names = ("lo", "eth0", "eth1", "tap", "br", "bond", "vlan", "mv0", "mv1", "vx")
    kinds = {
        "br": "bridge",
        "bond": "bond",
        "vlan": "vlan",
        "mv0": "macvlan",
        "mv1": "macvlan",
        "vx": "vxlan",
    }
    found = {}
    for index, name in enumerate(names, start=1):
        if name in ("lo", "eth0", "eth1", *stack):
            found[index] = Link(name, True, index, kind=kinds.get(name, ""), **stack.get(name, {}))
    return found


def port(index):
    return {"master": index}


def on(index, **more):
    return {"lower": index, **more}


def carried(**octets):
    """Bytes by index, the same in both directions unless they are two."""
    names = ("lo", "eth0", "eth1", "tap", "br", "bond", "vlan", "mv0", "mv1", "vx")
    both = {name: n if isinstance(n, tuple) else (n, n) for name, n in octets.items()}
    return {names.index(name) + 1: n for name, n in both.items()}


ON_BOND = links(vlan=on(BOND), bond={}, eth0=port(BOND), eth1=port(BOND))
BACKUP = links(vlan=on(BOND), bond={"active_port": ETH1}, eth0=port(BOND), eth1=port(BOND))
ON_BRIDGE = links(br={}, eth0=port(BR), tap=port(BR))
NESTED = links(br={}, bond=port(BR), tap=port(BR), eth0=port(BOND), eth1=port(BOND))
VLAN_ON_BRIDGE = links(vlan=on(BR), br={}, eth0=port(BR), tap=port(BR))
IN_VRF = links(vx={}, eth0=port(VX), vlan=on(ETH0))
IN_VRF[VX] = Link("vrf", True, VX, kind="vrf")
SIBLINGS = links(mv0=on(ETH0, delivers_to_siblings=True), mv1=on(ETH0, delivers_to_siblings=True))


@pytest.mark.parametrize(
    ("paths", "way", "target", "octets", "elsewhere"),
    [
        (InterfacePaths(links()), Way(ETH0), ETH0, {}, 0),
        (InterfacePaths(links()), Way(ETH0), ETH1, {"eth0": 9, "eth1": 9}, math.inf),
        (InterfacePaths(links(vlan=on(ETH0))), Way(VLAN), ETH0, {}, 0),
        (InterfacePaths(links(vlan=on(ETH0))), Way(ETH0), VLAN, {"vlan": 9}, math.inf),
        (InterfacePaths(ON_BRIDGE), Way(BR), ETH0, {"eth0": 90, "tap": 7}, 7),
        (InterfacePaths(ON_BRIDGE), Way(BR), TAP, {"eth0": 90, "tap": 7}, 90),
        (InterfacePaths(ON_BRIDGE), Way(BR), ETH0, {"eth0": 90}, math.inf),
        (InterfacePaths(ON_BRIDGE), Way(BR, via=ETH0), ETH0, {"eth0": 90, "tap": 50}, 0),
        (InterfacePaths(ON_BRIDGE), Way(BR, via=TAP), ETH0, {"eth0": 90, "tap": 50}, 50),
        (InterfacePaths(ON_BRIDGE), Way(BR, via=TAP), BR, {}, 0),
        (InterfacePaths(links(br={}, eth0=port(BR))), Way(BR), ETH0, {}, 0),
        (InterfacePaths(ON_BOND), Way(VLAN), BOND, {}, 0),
        (InterfacePaths(ON_BOND), Way(VLAN), ETH0, {"bond": 95, "eth0": 90, "eth1": 5}, 5),
        (InterfacePaths(BACKUP), Way(VLAN), ETH1, {}, 0),
        (InterfacePaths(BACKUP), Way(VLAN), ETH0, {"eth0": 9, "eth1": 9}, 9),
        (InterfacePaths(NESTED), Way(BR), ETH0, {"bond": 95, "eth0": 90, "eth1": 5, "tap": 7}, 12),
        (InterfacePaths(NESTED), Way(BR, via=BOND), ETH0, {"eth0": 90, "eth1": 5, "tap": 7}, 5),
        (InterfacePaths(VLAN_ON_BRIDGE), Way(VLAN), ETH0, {"br": 97, "eth0": 90, "tap": 7}, 7),
        (InterfacePaths(VLAN_ON_BRIDGE), Way(VLAN, via=ETH0), ETH0, {"br": 97, "tap": 7}, 0),
        (InterfacePaths(VLAN_ON_BRIDGE), Way(VLAN, via=ETH0), BR, {}, 0),
        (InterfacePaths(IN_VRF), Way(ETH0), VX, {}, 0),
        (InterfacePaths(IN_VRF), Way(VLAN), VX, {}, math.inf),
        (InterfacePaths(IN_VRF), Way(ETH1), VX, {}, math.inf),
        (InterfacePaths(SIBLINGS), Way(MV0), ETH0, {"eth0": 90, "mv1": (50, 3)}, 3),
        (InterfacePaths(SIBLINGS, hidden_siblings=frozenset({MV0})), Way(MV0), ETH0, {"mv1": 3}, math.inf),
        (InterfacePaths(SIBLINGS), Way(MV0, via=ETH0), ETH0, {"mv1": 3}, 0),
        (InterfacePaths(SIBLINGS), Way(MV0, via=0), ETH0, {"mv1": 3}, math.inf),
        (InterfacePaths(links(vx={})), Way(VX), ETH0, {"eth0": 9}, math.inf),
        (InterfacePaths(links(vx={}), {VX: ETH0}), Way(VX), ETH0, {}, 0),
        (InterfacePaths(links(vx=on(ETH1)), {VX: ETH0}), Way(VX), ETH1, {}, 0),
        (InterfacePaths(links(eth0=on(ETH1), eth1=on(ETH0))), Way(ETH0), LO, {"eth0": 5}, 5),
    ],
)
def test_only_bytes_that_other_ways_carried_may_be_elsewhere(paths, way, target, octets, elsewhere):
    """What crosses the upper interface crosses the lower one; of several ports at least one."""
    assert paths.elsewhere(way, target, carried(**octets), SENT) == elsewhere


@pytest.mark.parametrize(
    ("returns", "other", "elsewhere"), [(True, 0, 0), (False, 0, 40), (False, 20, 18), (False, 38, 0)]
)
def test_answers_may_come_by_another_interface(returns, other, elsewhere):
    """Bytes for another interface's address count without those that others received, for no known socket."""
    routed = {Way(ETH0, returns=returns): [sent(80)], Way(ETH1, returns=returns): [sent(other)]}
    octets = carried(lo=70, eth0=90, eth1=(10, 40))
    (found, *_), _ = Crossings(RECEIVED, routed, InterfacePaths(links()), octets).of(ETH0)
    assert found == Crossing(routed[Way(ETH0, returns=returns)], elsewhere)


@pytest.mark.parametrize(
    ("leaves", "other", "elsewhere"), [(True, 0, 0), (False, 0, 40), (False, 20, 18), (False, 38, 0)]
)
def test_packets_may_be_redirected_to_another_interface(leaves, other, elsewhere):
    """Then the bytes that others sent, for no known socket, may be theirs."""
    routed = {Way(ETH0, leaves=leaves): [sent(80)], Way(ETH1): [sent(other)]}
    octets = carried(lo=70, eth0=90, eth1=(40, 10))
    (found, *_), _ = Crossings(SENT, routed, InterfacePaths(links()), octets).of(ETH0)
    assert found == Crossing(routed[Way(ETH0, leaves=leaves)], elsewhere)


def test_the_other_end_of_an_interface_is_mirrored():
    """What its sockets send, the interface receives; the host's own count as they are."""
    way, own = Way(ETH0, mirrored=True), SocketTraffic(sent(0)[0].socket, 7, 3)
    other = SocketTraffic(own.socket, 20, 50)
    routed = {way: [(other, (1,))], Way(ETH0): [(own, (2,))]}
    octets = carried(eth0=(57, 23))
    for direction, expected in ((SENT, [50, 7]), (RECEIVED, [20, 3])):
        found, note = Crossings(direction, routed, InterfacePaths(links()), octets).of(ETH0)
        counts = [each.bytes_of(each.traffic[0][0], direction) for each in found]
        assert (counts, [each.elsewhere for each in found], note) == (expected, [0, 0], "")
    too_few = carried(eth0=(40, 23))
    assert Crossings(SENT, routed, InterfacePaths(links()), too_few).of(ETH0) == ([], ROUTES_DISAGREE)


def sent(octets, cookie=0):
    """The traffic of a socket, and its owner."""
    socket = Socket("ESTABLISHED", bytes(4), 1, bytes(4), 2, 3, cookie)
    return SocketTraffic(socket, octets, octets), (1,)


@pytest.mark.parametrize(
    ("routed", "octets", "target", "crossing", "note"),
    [
        ({Way(BR): [sent(80)]}, {"br": 81, "eth0": 80, "tap": 1}, ETH0, [(80, 1)], ""),
        ({Way(BR): [sent(80)]}, {"br": 81, "eth0": 80, "tap": 1}, TAP, [], WAY_UNKNOWN),
        ({Way(BR): [sent(80)]}, {"br": 90, "eth0": 90, "tap": 30}, ETH0, [(80, 30)], WAY_UNKNOWN),
        ({Way(BR): [sent(80)]}, {"br": 50, "eth0": 90, "tap": 30}, ETH0, [], ROUTES_DISAGREE),
        ({Way(BR, ETH0): [sent(80)]}, {"br": 80, "eth0": 50, "tap": 30}, ETH0, [], ROUTES_DISAGREE),
        ({Way(BR): [sent(8)]}, {"br": 2, "eth0": 90, "tap": 90}, ETH0, [], ""),
        ({Way(ETH1): [sent(80)]}, {"eth0": 90, "eth1": 9}, ETH0, [], ""),
        (
            {Way(BR): [sent(50)], Way(ETH0): [sent(30)]},
            {"br": 50, "eth0": 80, "tap": 0},
            ETH0,
            [(50, 0), (30, 0)],
            "",
        ),
    ],
)
def test_routes_must_agree_with_counters(routed, octets, target, crossing, note):
    """More bytes than the interface carried say that the routes are others; then nobody is named."""
    found = Crossings(SENT, routed, InterfacePaths(ON_BRIDGE), carried(**octets)).of(target)
    expected = [
        Crossing(traffic, n) for traffic, n in zip(routed.values(), [n for _, n in crossing], strict=False)
    ]
    assert found == (expected, note)
    assert [each.traffic[0][0].sent for each in found[0]] == [n for n, _ in crossing]


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000)), max_size=5),
    st.tuples(st.integers(0, 1000), st.integers(0, 1000), st.integers(0, 1000)),
)
def test_a_process_never_has_more_than_it_sent(processes, others):
    """Whatever way the bytes of each process and of others went, what is counted for a port is not more."""
    by_port = [sum(each[n] for each in processes) + others[n] for n in range(3)]
    bond = by_port[0] + by_port[1]
    octets = carried(br=sum(map(sum, processes)), bond=bond, eth0=by_port[0], eth1=by_port[1], tap=by_port[2])
    paths = InterfacePaths(NESTED)
    for at, target in ((0, ETH0), (1, ETH1), (2, TAP)):
        elsewhere = paths.elsewhere(Way(BR), target, octets, SENT)
        assert all(max(sum(each) - elsewhere, 0) <= each[at] for each in processes)


def test_each_byte_counts_once():
    """Ports count, not their bridge or bond; lower interfaces, not upper ones; tunnels never."""
    stacked = links(br={}, bond=port(BR), tap=port(BR), eth0=port(BOND), vlan=on(ETH1), mv0=on(ETH1), vx={})
    octets = carried(lo=1, eth0=10, eth1=100, tap=1000, br=7, bond=7, vlan=7, mv0=7, vx=7)
    assert interface_paths.carried_once(stacked, octets) == (1111, 1111)
    without_ports = {index: link for index, link in stacked.items() if index in (BR, VLAN, VX)}
    assert interface_paths.carried_once(without_ports, octets) == (14, 14)
