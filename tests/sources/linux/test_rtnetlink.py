"""Interfaces: recorded answers compared with ``ip``, and damaged answers."""

import socket
import struct

import pytest

from network_health.model import Counters
from network_health.sources.linux import interface_addresses, netlink, rtnetlink
from network_health.sources.linux.errors import KernelFormatError
from tests.sources.linux import recorded

#: A parser, and what it adds to.
PARSERS = {
    "links": (rtnetlink.parse_links, dict),
    "addresses": (interface_addresses.parse_interface_addresses, list),
    "stats": (rtnetlink.parse_stats, dict),
}


def attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def message(kind, body, *attributes):
    data = body + b"".join(attributes)
    return netlink.HEADER.pack(16 + len(data), kind, 2, 1, 0) + data


def link(index, *attributes, flags=0x41):
    return message(16, struct.pack("=BxHiII", 0, 1, index, flags, 0), *attributes)


def address(index, family, *attributes):
    return message(20, struct.pack("=BBBBI", family, 24, 0, 0, index), *attributes)


def stats(index, *attributes):
    return message(92, struct.pack("=BxxxII", 0, index, 1), *attributes)


COUNTERS = ("rx", "tx", "rxb", "txb", "rxe", "txe", "rxd", "txd")
NAME = attribute(3, b"eth0\0")


def read(name):
    parse, empty = PARSERS[name]
    return recorded.parsed(parse, empty(), f"rtnetlink/{name}")


def test_recorded_links_are_those_of_ip(each_kernel):
    """Names, states, MTUs and kinds of recorded interfaces are the same as from ``ip``."""
    fields = ("index", "up", "mtu", "kind", "operstate", "carrier_changes")
    expected = {
        name: {f: link[f] for f in fields} for name, link in recorded.expected("rtnetlink/ip").items()
    }
    found = {found.name: {f: getattr(found, f) for f in fields} for found in read("links").values()}
    assert found == expected
    assert {link["kind"] for link in expected.values()} >= {"", "veth", "bridge", "macvlan", "tun"}


def test_recorded_addresses_are_those_of_ip(each_kernel):
    """Several addresses of one interface, labelled and point-to-point ones, have the order of ``ip``."""
    names = {index: link.name for index, link in read("links").items()}
    found, expected = {}, {}
    for each in read("addresses"):
        family = 2 if len(each.address) == 4 else 10
        texts = found.setdefault((names[each.interface], family), [])
        texts.append(socket.inet_ntop(family, each.address))
    for name, link in recorded.expected("rtnetlink/ip").items():
        expected |= {(name, 2): link["ipv4"], (name, 10): link["ipv6"]}
    assert found == {owner: addresses for owner, addresses in expected.items() if addresses}


def test_recorded_counters_are_those_of_ip(each_kernel):
    """Each counter is in its own field."""
    names = {index: link.name for index, link in read("links").items()}
    found = {names[i]: rtnetlink.parse_counters(raw)._asdict() for i, raw in read("stats").items()}
    assert found == {name: link["counters"] for name, link in recorded.expected("rtnetlink/ip").items()}
    assert found["va"]["tx_bytes"] != found["va"]["rx_bytes"]


def test_recorded_speeds_are_those_of_psutil(each_kernel):
    """A tun has a speed that its driver makes up, and so has a veth."""
    speeds = [rtnetlink.parse_speed(answer) for answer in recorded.datagrams("rtnetlink/speeds")]
    assert speeds == recorded.expected("rtnetlink/speeds")
    assert speeds[1] == 10_000


def test_every_counter_has_its_own_place():
    """Each field has its own one of 25 different counters; the drops are the dropped plus the missed."""
    raw = struct.pack("=25Q", *range(2**40, 2**40 + 25))
    found = {}
    assert rtnetlink.parse_stats(stats(7, attribute(1, raw)), found) is False
    at = {name: 2**40 + place for place, name in enumerate(COUNTERS)}
    assert rtnetlink.parse_counters(found[7]) == Counters(
        tx_bytes=at["txb"],
        rx_bytes=at["rxb"],
        tx_packets=at["tx"],
        rx_packets=at["rx"],
        tx_errors=at["txe"],
        rx_errors=at["rxe"],
        tx_drops=at["txd"],
        rx_drops=at["rxd"] + 2**40 + 15,
        rx_missed=2**40 + 15,
    )


@pytest.mark.parametrize(
    ("speed", "expected"),
    [
        (10, 10),
        (10_000, 10_000),
        (65_534, 65_534),
        (100_000, 100_000),
        (400_000, 400_000),
        (0, None),
        (0xFFFF, None),
        (0xFFFFFFFF, None),
    ],
)
def test_a_speed_is_in_two_halves(speed, expected):
    """Speeds above 65 Gbps have an upper half; drivers return 0, 65535 or -1 for an unknown speed."""
    cmd = struct.pack(
        "=IIIHBBBBBBIIHBBI8x", 1, 7, 7, speed & 0xFFFF, 1, 2, 3, 4, 5, 6, 7, 8, speed >> 16, 9, 9, 9
    )
    assert rtnetlink.parse_speed(cmd) == expected


def test_a_missing_attribute_is_unknown():
    """If an old kernel sends only a name, the other values are unknown, not 0."""
    found = {}
    rtnetlink.parse_links(link(3, NAME, flags=0), found)
    assert (found[3].name, found[3].up, found[3].kind) == ("eth0", False, "")
    assert (found[3].mtu, found[3].operstate, found[3].carrier_changes) == (None, None, None)
    assert (found[3].speed_mbps, found[3].counters) == (None, None)


def test_an_unknown_state_is_unknown():
    """A state that the reader does not know is ``None``."""
    found = {}
    rtnetlink.parse_links(link(3, NAME, attribute(16, b"\x63")), found)
    assert found[3].operstate is None


def test_addresses_of_other_families_are_no_ip_addresses():
    """An address that is not IPv4 or IPv6 is ignored."""
    found = []
    other = address(3, 45, attribute(2, b"\x09"))
    assert interface_addresses.parse_interface_addresses(other, found) is False
    assert found == []


DAMAGED = {
    "no name": ("links", link(3, attribute(4, bytes(4)))),
    "an empty name": ("links", link(3, attribute(3, b"\0"))),
    "another kind": ("links", stats(3, attribute(1, bytes(200)))),
    "a body that is too short": ("links", message(16, bytes(12))),
    "an attribute too long": ("links", link(3, NAME, struct.pack("=HH", 90, 4) + bytes(4))),
    "a number of no bytes": ("links", link(3, NAME, attribute(4, b""))),
    "a number of many bytes": ("links", link(3, NAME, attribute(35, bytes(8)))),
    "a state of no bytes": ("links", link(3, NAME, attribute(16, b""))),
    "link info that does not fit": ("links", link(3, NAME, attribute(18, b"\x09\0\x01\0veth"))),
    "an IPv4 address of 16 bytes": ("addresses", address(3, 2, attribute(2, bytes(16)))),
    "an IPv6 address of 4 bytes": ("addresses", address(3, 10, attribute(1, bytes(4)))),
    "no address": ("addresses", address(3, 2, attribute(6, bytes(16)))),
    "no address, and another kind": ("addresses", link(3, NAME)),
    "no counters": ("stats", stats(3)),
    "too few counters": ("stats", stats(3, attribute(1, bytes(120)))),
    "counters of another kind": ("stats", stats(3, attribute(2, bytes(200)))),
}


@pytest.mark.parametrize(("parser", "datagram"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_answers_are_an_error(parser, datagram):
    """An answer in an unknown format is an error, never a zero."""
    parse, empty = PARSERS[parser]
    with pytest.raises(KernelFormatError):
        parse(datagram, empty())


@pytest.mark.parametrize("name", PARSERS)
def test_a_truncated_answer_is_never_complete(name):
    """A truncated datagram gives the messages before the cut or an error, never the end of a dump."""
    parse, empty = PARSERS[name]
    for datagram in recorded.datagrams(f"rtnetlink/{name}"):
        whole = empty()
        parse(datagram, whole)
        starts = [start - 16 for _, start, _ in netlink.messages(datagram)]
        for cut in range(len(datagram)):
            part = empty()
            try:
                assert parse(datagram[:cut], part) is False
            except KernelFormatError:
                continue
            assert cut in starts
            assert set(part) <= set(whole)
