"""What was forwarded: tables of flows, and the sentence of an interface."""

from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.attribution import forwarded_flows
from network_health.attribution.forwarded_flows import at_destination, at_source
from network_health.attribution.interface_paths import RECEIVED, SENT, Crossing
from network_health.model import FlowTuple, TrackedFlow

OWN = {ip_address(text).packed for text in ("10.1.0.1", "10.9.0.1", "fd00::1")}


def flow(source="10.1.0.2", destination="10.9.0.9", octets=(1000, 100), port=443, **more):
    """A flow; ``server`` is who answers behind DNAT, ``seen`` who the source is behind SNAT."""
    server, seen = more.pop("server", destination), more.pop("seen", source)
    one, two, three, four = (ip_address(text).packed for text in (source, destination, server, seen))
    packets = more.pop("packets", 9)
    tuples = FlowTuple(one, two, 40000, port), FlowTuple(three, four, port, 40000)
    return TrackedFlow(*tuples, more.pop("protocol", 6), *octets, packets, **more)


@pytest.mark.parametrize(
    ("found", "is_forwarded"),
    [
        (flow(), True),
        (flow("fd00::2", "fd09::9"), True),
        (flow(seen="10.9.0.1"), True),
        (flow(destination="10.9.0.1", server="10.1.0.7"), True),
        (flow("10.9.0.1"), False),
        (flow(destination="10.1.0.1"), False),
        (flow("fd00::2", "fd00::1"), False),
        (flow(destination="198.51.100.1", server="10.1.0.1"), False),
        (flow("10.1.0.1", "198.51.100.1", server="10.1.0.7"), False),
        (flow("127.0.0.1", "127.0.0.1"), False),
        (flow("0.0.0.0", "255.255.255.255", port=67), False),
        (flow(destination="224.0.0.251"), False),
        (flow("fe80::2", "ff02::fb"), False),
    ],
)
def test_a_flow_of_the_host_itself_is_not_forwarded(found, is_forwarded):
    """With an address of the host at either end, also after translation, or if it is not for one host."""
    assert forwarded_flows.forwarded([found], OWN) == ([found] if is_forwarded else [])


def test_flows_of_the_host_are_its_sockets():
    """They send what the host sends, whoever opened the connection; others are left out."""
    opened, accepted = flow("10.9.0.1"), flow(destination="10.1.0.1", octets=(7, 5))
    found = forwarded_flows.with_own_end([opened, accepted, flow(), flow(destination="224.0.0.251")], OWN)
    assert found == [at_destination(opened), at_source(accepted)]
    assert [(each.sent, each.received) for each, _ in found] == [(1000, 100), (5, 7)]


def test_a_packet_that_passes_two_zones_counts_once():
    """Only the zone with most bytes counts."""
    flows = [
        flow(zone=1, octets=(50, 0)),
        flow(zone=2, octets=(40, 20)),
        flow(zone=2, octets=(0, 1), port=80),
    ]
    assert forwarded_flows.forwarded(flows, OWN) == flows[1:]
    assert forwarded_flows.forwarded([], OWN) == []


@pytest.mark.parametrize(
    ("packets", "offloaded", "possible"), [(1200, 0, True), (1201, 0, False), (1200, 5000, True)]
)
def test_more_packets_than_were_forwarded_are_a_contradiction(packets, offloaded, possible):
    """1,000 were forwarded; the kernel does not count those of offloaded flows."""
    flows = [flow(packets=packets), flow(packets=offloaded, is_offloaded=True)]
    assert forwarded_flows.is_possible(flows, 1000) is possible


def clause(direction, rows, carried, elsewhere=0, places=None):
    """The texts for legs, and the evidence."""
    part = forwarded_flows.part_of([Crossing(rows, elsewhere)], direction, carried, 2, places or {})
    return list(part.texts), part.evidence


def test_both_directions_of_both_sides():
    """What comes in from the source leaves to the destination, and the answers the other way round."""
    found = flow(octets=(1000, 300))
    forth, back = "forwarded from 10.1.0.2 to 10.9.0.9:443", "forwarded from 10.9.0.9:443 to 10.1.0.2"
    assert clause(SENT, [at_destination(found)], 1250)[0] == [f"80% {forth}"]
    assert clause(RECEIVED, [at_destination(found)], 600)[0] == [f"50% {back}"]
    assert clause(SENT, [at_source(found)], 600)[0] == [f"50% {back}"]
    assert clause(RECEIVED, [at_source(found)], 1250)[0] == [f"80% {forth}"]


def test_evidence_lists_the_largest_flows():
    """Flows of one source to one port are one entry; those beyond the bound are in the sum."""
    rows = [
        at_destination(flow(octets=(n, 0), port=port))
        for n, port in ((400, 443), (300, 443), (90, 22), (9, 1))
    ]
    texts, evidence = clause(SENT, rows, 1000, places={ip_address("10.1.0.2").packed: "container web"})
    assert texts == ["70% forwarded from 10.1.0.2 in container web to 10.9.0.9:443"]
    first = {
        "source": "10.1.0.2",
        "source_port": None,
        "destination": "10.9.0.9",
        "port": 443,
        "protocol": "tcp",
        "bytes": 700,
        "percent": 70.0,
        "source_namespace": "container web",
    }
    second = first | {"port": 22, "bytes": 90, "percent": 9.0}
    assert evidence == {"bytes": 799, "percent": 79.9, "flows": [first, second]}


def many(*rows):
    return [at_destination(flow(f"10.1.0.{a}", f"10.9.0.{b}", (n, 0))) for a, b, n in rows]


def text(percent, source, destination):
    return f"{percent}% forwarded from {source} to {destination}"


#: Flows, bytes that may be elsewhere, and the texts.
CASES = {
    "two pairs": (
        many((2, 9, 60), (3, 8, 30)),
        0,
        [text(60, "10.1.0.2", "10.9.0.9:443"), text(30, "10.1.0.3", "10.9.0.8:443")],
    ),
    "a small rest": (many((2, 9, 60), (3, 8, 9)), 0, [text(60, "10.1.0.2", "10.9.0.9:443")]),
    "a source": (
        many((2, 7, 30), (2, 8, 20), (3, 9, 20)),
        0,
        [text(50, "10.1.0.2", "2 destinations"), text(20, "10.1.0.3", "10.9.0.9:443")],
    ),
    "a destination": (many((2, 9, 25), (3, 9, 25), (4, 8, 9)), 0, [text(50, "2 sources", "10.9.0.9:443")]),
    "many": (many(*((n, n, 10) for n in range(2, 9))), 0, [text(70, "7 sources", "7 destinations")]),
    "a part elsewhere": (many((2, 9, 90)), 40, [text(50, "10.1.0.2", "10.9.0.9:443")]),
    "half elsewhere": (many((2, 9, 30), (3, 8, 30)), 30, ["30% forwarded"]),
    "little": (many((2, 9, 9)), 0, []),
    "none": ([], 0, []),
}


@pytest.mark.parametrize(("rows", "elsewhere", "texts"), CASES.values(), ids=CASES)
def test_who_has_half_of_the_bytes_is_named(rows, elsewhere, texts):
    """A pair, else a source or a destination; the share is its own. Bytes that may be elsewhere name none."""
    assert clause(SENT, rows, 100, elsewhere)[0] == texts


ADDRESSES = st.integers(2, 4)


@given(st.lists(st.tuples(ADDRESSES, ADDRESSES, st.integers(0, 50)), max_size=8), st.integers(0, 60))
def test_no_share_has_bytes_of_others(rows, elsewhere):
    """Whatever moved, each listed flow has at most its own bytes, and all together at most those carried."""
    carried = sum(n for _, _, n in rows) or 1
    texts, evidence = clause(SENT, many(*rows), carried, elsewhere)
    own = Counter()
    for source, destination, octets in rows:
        own[f"10.1.0.{source}", f"10.9.0.{destination}"] += octets
    for each in evidence["flows"]:
        assert each["bytes"] <= own[each["source"], each["destination"]]
    assert evidence["bytes"] == max(own.total() - elsewhere, 0)
    for sentence in texts:
        source = sentence.partition(" from ")[2].partition(" to ")[0]
        if source.startswith("10."):
            of_source = sum(n for (one, _), n in own.items() if one == source)
            assert int(sentence.partition("%")[0]) <= 100 * of_source / carried + 1
