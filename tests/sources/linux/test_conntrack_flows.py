"""Tracked flows: built messages and damaged ones, and a comparison with ``/proc/net/nf_conntrack``."""

import contextlib
import errno
import re
import socket
import struct
from collections import Counter
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.model import FlowTuple, TrackedFlow
from network_health.sources.linux import conntrack_flows
from network_health.sources.linux.conntrack_flows import FlowListing, parse
from network_health.sources.linux.errors import KernelFormatError
from tests import nftables
from tests.netns import veth
from tests.sources.linux.messages import DONE, attribute, failed, message

A, B, NAT = (ip_address(text).packed for text in ("10.1.0.2", "10.9.0.9", "10.9.0.1"))
A6, B6 = (ip_address(text).packed for text in ("fd00::2", "fd09::9"))


def address_tuple(kind, source, destination, ports=(40000, 443), protocol=6, zone=None):
    """CTA_TUPLE_ORIG or CTA_TUPLE_REPLY; without ``ports`` that of ICMP."""
    first = 1 if len(source) == 4 else 3
    addresses = attribute(first, source) + attribute(first + 1, destination)
    numbers = attribute(1, bytes([protocol]))
    for number, port in enumerate(ports or (), start=2):
        numbers += attribute(number, struct.pack("!H", port))
    inside = attribute(0x8001, addresses) + attribute(0x8002, numbers)
    inside += b"" if zone is None else attribute(3, struct.pack("!H", zone))
    return attribute(0x8000 | kind, inside)


def counters(sent, received):
    """CTA_COUNTERS_ORIG and CTA_COUNTERS_REPLY: packets and bytes of each."""
    pairs = (9, sent), (10, received)
    return b"".join(
        attribute(0x8000 | kind, b"".join(attribute(n, struct.pack("!Q", v)) for n, v in enumerate(pair, 1)))
        for kind, pair in pairs
    )


def entry(original, reply=None, counted=b"", family=2, status=0, more=b""):
    """One entry of the table."""
    reply = reply or address_tuple(2, B, A, (443, 40000))
    attributes = original, reply, attribute(3, struct.pack("!I", status)), more, counted
    return message(0x100, struct.pack("=BBH", family, 0, 0), *attributes)


def listed(*entries, before=None):
    """The listing of these entries in one datagram."""
    listing = FlowListing(before)
    assert parse(b"".join(entries) + DONE, listing) is True
    return listing


def flow(sent, received, packets, **more):
    """What `entry` is with its default tuples."""
    forth, back = FlowTuple(A, B, 40000, 443), FlowTuple(B, A, 443, 40000)
    return TrackedFlow(forth, back, 6, sent, received, packets, **more)


ORIGINAL = address_tuple(1, A, B)


def test_a_flow_has_the_bytes_since_the_listing_before():
    """Both directions; a flow without traffic is left out, a new one counts completely."""
    idle = address_tuple(1, A, B, (40001, 443))
    first = listed(
        entry(ORIGINAL, counted=counters((3, 300), (1, 60))), entry(idle, counted=counters((1, 9), (0, 0)))
    )
    new = address_tuple(1, A, B, (40002, 53), 17)
    second = listed(
        entry(ORIGINAL, counted=counters((5, 800), (2, 100))),
        entry(idle, counted=counters((1, 9), (0, 0))),
        entry(new, address_tuple(2, B, A, (53, 40002), 17), counters((1, 70), (0, 0))),
        before=first.counters,
    )
    assert (first.flows, first.entries, len(first.counters)) == ([], 2, 2)
    assert second.flows == [
        flow(500, 40, 3),
        TrackedFlow(FlowTuple(A, B, 40002, 53), FlowTuple(B, A, 53, 40002), 17, 70, 0, 1),
    ]


def test_counters_that_went_back_are_no_bytes():
    """An entry that was made anew with the same addresses and ports."""
    first = listed(entry(ORIGINAL, counted=counters((9, 900), (9, 900))))
    assert listed(entry(ORIGINAL, counted=counters((1, 90), (1, 90))), before=first.counters).flows == []


def test_translated_addresses_offload_and_ipv6():
    """Behind NAT the reply has other addresses; IPv6 and ICMP have a layout of their own."""
    empty = FlowListing().counters
    translated = entry(
        ORIGINAL, address_tuple(2, B, NAT, (443, 1024)), counters((1, 60), (0, 0)), status=1 << 14
    )
    echo = entry(
        address_tuple(1, A6, B6, None, 58),
        address_tuple(2, B6, A6, None, 58),
        counters((1, 84), (1, 84)),
        family=10,
    )
    assert listed(translated, echo, before=empty).flows == [
        TrackedFlow(
            FlowTuple(A, B, 40000, 443), FlowTuple(B, NAT, 443, 1024), 6, 60, 0, 1, is_offloaded=True
        ),
        TrackedFlow(FlowTuple(A6, B6), FlowTuple(B6, A6), 58, 84, 84, 2),
    ]


@pytest.mark.parametrize(
    ("original", "more"), [(ORIGINAL, attribute(18, b"\0\7")), (address_tuple(1, A, B, zone=7), b"")]
)
def test_zones_are_flows_of_their_own(original, more):
    """The same addresses and ports in another zone are another entry."""
    first = listed(entry(original, counted=counters((1, 60), (0, 0)), more=more))
    second = listed(
        entry(original, counted=counters((2, 160), (0, 0)), more=more),
        entry(ORIGINAL, counted=counters((1, 40), (0, 0))),
        before=first.counters,
    )
    assert second.flows == [flow(100, 0, 1, zone=7), flow(40, 0, 1)]


def test_entries_without_counters_are_counted():
    """They were made while accounting was off."""
    listing = listed(
        entry(ORIGINAL), entry(ORIGINAL, counted=counters((1, 60), (0, 0))), before=FlowListing().counters
    )
    assert (listing.entries, listing.uncounted, listing.flows) == (2, 1, [flow(60, 0, 1)])


@pytest.mark.parametrize(
    ("datagram", "error"),
    [
        (failed(errno.EPERM), PermissionError),
        (b"", KernelFormatError),
        (message(0x101, bytes(4), ORIGINAL), KernelFormatError),
        (message(0x100, bytes(2)), KernelFormatError),
        (message(0x100, bytes(4)), KernelFormatError),
        (message(0x100, bytes(4), ORIGINAL + b"\1"), KernelFormatError),
        (entry(attribute(0x8001, struct.pack("=HH", 60, 1))), KernelFormatError),
        (entry(address_tuple(1, A, B[:3])), KernelFormatError),
        (entry(ORIGINAL, counted=attribute(0x8009, attribute(2, bytes(4)))), KernelFormatError),
        (
            entry(ORIGINAL, counted=b"".join(counters((n, n), (0, 0))[28 * n : 28 * n + 28] for n in (1, 0))),
            KernelFormatError,
        ),
    ],
)
def test_damaged_entries_are_errors(datagram, error):
    """Never a flow with other addresses or bytes."""
    with pytest.raises(error):
        parse(datagram, FlowListing())


ENTRIES = st.lists(
    st.tuples(
        st.booleans(),
        st.integers(1, 3),
        st.sampled_from([None, (1, 2), (3, 4)]),
        st.sampled_from([b"", attribute(4, bytes(8)), attribute(7, bytes(8)), attribute(8, bytes(4))]),
        st.tuples(st.integers(0, 9), st.integers(1, 1 << 40)),
    ),
    max_size=12,
)


@given(ENTRIES)
def test_entries_in_any_order_are_parsed_each_by_its_own_layout(rows):
    """Messages of equal length may have different attributes; each has its own values."""
    datagrams, expected = [], []
    for is_ipv6, last, ports, more, (packets, octets) in rows:
        one, two = (A6[:-1], B6[:-1]) if is_ipv6 else (A[:-1], B[:-1])
        one, two, zone = one + bytes([last]), two + bytes([last]), len(expected) + 1
        forth = address_tuple(1, one, two, ports, 17, zone)
        back = address_tuple(2, two, one, ports and ports[::-1], 17)
        counted = counters((packets, octets), (0, 0))
        datagrams.append(entry(forth, back, counted, 10 if is_ipv6 else 2, more=more))
        ports = ports or (0, 0)
        tuples = FlowTuple(one, two, *ports), FlowTuple(two, one, *ports[::-1])
        expected.append(TrackedFlow(*tuples, 17, octets, 0, packets, zone))
    assert listed(*datagrams, before=FlowListing().counters).flows == expected


RECORDED = entry(ORIGINAL, counted=counters((5, 800), (2, 100))) * 2 + DONE


@given(
    st.lists(st.tuples(st.integers(0, len(RECORDED) - 1), st.integers(0, 255)), max_size=8),
    st.binary(max_size=90),
)
def test_any_datagram_is_a_listing_or_an_error(changes, data):
    """Random bytes, and entries with some bytes changed, give a result or a documented error."""
    changed = bytearray(RECORDED)
    for at, value in changes:
        changed[at] = value
    for datagram in (bytes(changed), data, bytes(changed[: len(data)])):
        with contextlib.suppress(KernelFormatError, OSError):
            parse(datagram, FlowListing(FlowListing().counters))


def test_a_table_that_is_too_large_is_not_read(monkeypatch):
    """The number of entries is asked first, and checked while they are read."""
    asked = []
    monkeypatch.setattr(conntrack_flows, "MAX_ENTRIES", 1)
    monkeypatch.setattr(conntrack_flows.sysctl, "read_numbers", lambda name: asked.append(name) or (2,))
    with pytest.raises(OSError, match="conntrack: 2 entries, more than 1"):
        conntrack_flows.read_flows()
    monkeypatch.setattr(conntrack_flows.sysctl, "read_numbers", lambda _: None)

    def dump(_protocol, _request, empty, add):
        listing = empty()
        while not add(entry(ORIGINAL) * 3, listing):
            pass

    monkeypatch.setattr(conntrack_flows.netlink, "dump", dump)
    with pytest.raises(OSError, match="conntrack: 3 entries, more than 1"):
        conntrack_flows.read_flows()
    assert asked == ["netfilter/nf_conntrack_count"]


@pytest.mark.root
@pytest.mark.parametrize("accounting", [1, 0])
def test_the_kernel_lists_the_flows_of_its_own_text(namespace, accounting):
    """Bytes by flow are those of ``/proc/net/nf_conntrack``; without accounting there are no counters."""
    router, near, far = namespace(), namespace(), namespace()
    veth(router, near, ("near", "v"), ("10.1.0.1/24", "10.1.0.2/24"))
    veth(router, far, ("far", "v"), ("10.9.0.1/24", "10.9.0.9/24"))
    near.ip("route", "add", "default", "via", "10.1.0.1")
    far.ip("route", "add", "default", "via", "10.9.0.1")
    router.sysctl("net.ipv4.ip_forward", 1)
    router.sysctl("net.netfilter.nf_conntrack_acct", accounting)
    router.call(nftables.masquerade, "10.1.0.0")
    near.call(send_datagrams, 20)
    texts, (entries, uncounted, flows), is_accounting = router.call(read_twice, near)
    assert is_accounting is bool(accounting)
    if not accounting:
        assert (entries, uncounted, flows) == (21, 21, [])
        return
    before, after = (Counter({line[:4]: int(line[4]) for line in map(originals, text)}) for text in texts)
    assert {original_text(each): each.sent for each in flows} == after - before
    assert (len(before), len(after), (after - before).total()) == (20, 21, 21 * 128)
    assert {each.reply.destination for each in flows} == {ip_address("10.9.0.1").packed}


def originals(line):
    """Source, destination, both ports and bytes of the first tuple of a line."""
    return re.search(r" src=(\S+) dst=(\S+) sport=(\d+) dport=(\d+) packets=\d+ bytes=(\d+)", line).groups()


def original_text(found):
    """The same of a flow, without the bytes."""
    source, destination, *ports = found.original
    return (str(ip_address(source)), str(ip_address(destination)), *map(str, ports))


def send_datagrams(count):
    """One datagram of 100 bytes to each of so many ports."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind(("10.1.0.2", 4000))
        for port in range(5000, 5000 + count):
            sender.sendto(bytes(100), ("10.9.0.9", port))


def read_twice(near):
    """The kernel's text and a listing of it, before and after 21 datagrams, and whether it counts bytes."""

    def text():
        with open("/proc/self/net/nf_conntrack") as lines:
            return [line for line in lines if "dport=50" in line]

    first, before = conntrack_flows.read_flows(), text()
    near.call(send_datagrams, 21)
    second = conntrack_flows.read_flows(first.counters)
    listed = second.entries, second.uncounted, second.flows
    return (before, text()), listed, conntrack_flows.is_accounting()
