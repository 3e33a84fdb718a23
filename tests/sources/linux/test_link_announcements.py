"""The counters with which the kernel announces links: recorded, damaged, and on a real kernel."""

import contextlib
import random
import socket
import struct
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.model import Counters
from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.link_announcements import parse_announcements
from network_health.sources.linux.rtnetlink import LinkReader
from tests.netns import run, veth
from tests.sources.linux import recorded

NEWLINK, DELLINK, BRIDGE = 16, 17, 7
STATS = bytes(192)


def announcement(kind, index, stats=STATS, family=0):
    """One message about a link; ``stats`` of ``None`` leaves its counters out."""
    attribute = b"" if stats is None else struct.pack("=HH", 4 + len(stats), 23) + stats
    body = struct.pack("=BxHiII", family, 1, index, 0, 0) + attribute
    return netlink.HEADER.pack(netlink.HEADER.size + len(body), kind, 0, 0, 0) + body


@pytest.mark.parametrize(
    ("messages", "added"),
    [
        ([announcement(NEWLINK, 7)], [7]),
        ([announcement(NEWLINK, 2)], []),
        ([announcement(DELLINK, 2), announcement(NEWLINK, 2)], [2]),
        ([announcement(NEWLINK, 7), announcement(DELLINK, 7)], []),
        ([announcement(NEWLINK, 7, family=BRIDGE)], []),
        ([announcement(NEWLINK, 7), announcement(DELLINK, 7, family=BRIDGE)], [7]),
        ([announcement(NEWLINK, 7, stats=None)], []),
        ([announcement(20, 7)], []),
    ],
)
def test_a_link_is_added_by_its_first_announcement(messages, added):
    """Not by that of a change, nor by what a bridge announces of its ports."""
    found = {}
    parse_announcements(b"".join(messages), {1, 2}, found)
    assert list(found) == added


def test_the_first_counters_of_a_link_count():
    """Later announcements of the same link do not replace them."""
    first, second = b"\1" * 192, b"\2" * 192
    found = {}
    parse_announcements(announcement(NEWLINK, 7, first), set(), found)
    parse_announcements(announcement(NEWLINK, 7, second), set(), found)
    assert found == {7: first}


@given(st.integers(0, 2**32), st.integers(0, 1 << 16))
def test_any_damaged_announcement_is_parsed_or_an_error(seed, cut):
    """A recorded datagram with bytes changed or cut off gives a result or a documented error."""
    chance = random.Random(seed)
    for datagram in recorded.datagrams("rtnetlink/links"):
        changed = bytearray(datagram)
        for _ in range(chance.randrange(8)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        with contextlib.suppress(KernelFormatError, OSError):
            parse_announcements(bytes(changed)[: cut or None], set(), {})


def send(address, count):
    """Send so many datagrams."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(count):
            sender.sendto(b"x", (address, 9))


@pytest.mark.root
def test_a_moved_link_is_announced_with_its_counters_and_a_created_one_with_zeros(namespace):
    """Links that were there at the first reading are not announced, whatever changes."""
    near, far, other = namespace(), namespace(), namespace()
    veth(near, far)
    veth(other, far, names=("old", "oldp"), addresses=("10.78.0.1/24", "10.78.0.2/24"))
    time.sleep(0.5)  # until both ends have a carrier
    other.call(send, "10.78.0.2", 3)
    time.sleep(0.1)

    def move():
        reader = LinkReader()
        before = reader.read()
        run("ip", "-n", other.name, "link", "set", "old", "netns", near.name)
        run("ip", "link", "add", "new", "type", "veth", "peer", "name", "newp")
        run("ip", "link", "set", "va", "mtu", "1300")
        return before, reader.read(), reader.read()

    before, after, again = near.call(move)
    known = {link.name: after.announced.get(link.index) for link in after.links}
    old = next(link for link in after.links if link.name == "old")
    assert before.announced == {}
    assert (known["lo"], known["va"], known["new"]) == (None, None, Counters())
    assert 1 <= known["old"].tx_packets <= old.counters.tx_packets
    assert again.announced == after.announced


FLOOD = "for n in {1..5000}; do echo link set va mtu 1300; echo link set va mtu 1301; done | ip -batch -"


@pytest.mark.root
def test_of_more_announcements_than_fit_the_last_are_lost(namespace):
    """Every link is in the reading all the same; the announcement of a removed one is forgotten."""

    def announced(reading):
        names = {link.index: link.name for link in reading.links}
        return sorted(names.values()), sorted(names[index] for index in reading.announced)

    def watch():
        run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
        reader = LinkReader()
        reader.read()
        run("ip", "link", "add", "one", "type", "bridge")
        run("ip", "link", "add", "two", "type", "bridge")
        run("bash", "-c", FLOOD)
        run("ip", "link", "add", "lost", "type", "bridge")
        first = announced(reader.read())
        run("ip", "link", "del", "one")
        return first, announced(reader.read())

    first, second = namespace().call(watch)
    assert first == (["lo", "lost", "one", "two", "va", "vb"], ["one", "two"])
    assert second == (["lo", "lost", "two", "va", "vb"], ["two"])
