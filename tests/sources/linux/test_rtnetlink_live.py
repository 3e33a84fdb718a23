"""Interfaces on a real kernel, in namespaces of their own; ``ip`` and psutil are the referees."""

import dataclasses
import os
import socket
import time

import pytest

from network_health.sources import portable
from network_health.sources.linux import netlink, rtnetlink
from network_health.sources.linux.rtnetlink import LinkReader
from tests.fixtures.record import make_links
from tests.netns import run, veth
from tests.sources.linux import referees

pytestmark = pytest.mark.root

GETLINK, GETADDR, GETSTATS = 18, 22, 94
#: What psutil has of an interface; `portable` puts it into the same fields.
OF_PSUTIL = ("name", "index", "up", "speed_mbps", "ipv4", "ipv6", "counters", "mtu")


def as_ip_says(reading):
    """A reading in the words of `referees.links`."""
    links = {}
    for link in reading.links:
        fields = dataclasses.asdict(link)
        name = fields.pop("name")
        fields.pop("speed_mbps")  # ip does not tell
        counters = link.counters._asdict()
        links[name] = {**fields, "counters": counters, "ipv4": list(link.ipv4), "ipv6": list(link.ipv6)}
    return links


def as_psutil_says(links):
    """The fields of interfaces that psutil has; of an alias, psutil makes an interface of its own."""
    return {link.name: tuple(getattr(link, field) for field in OF_PSUTIL) for link in links}


def asked(work):
    """What ``work`` returns, and the kinds of dumps that it asked for."""
    kinds = []
    dump = netlink.dump

    def listen(protocol, request, *rest):
        kinds.append(netlink.HEADER.unpack_from(request)[1])
        return dump(protocol, request, *rest)

    netlink.dump = listen
    try:
        return work(), kinds
    finally:
        netlink.dump = dump


def test_links_are_what_ip_says(namespace):
    """Every field that ``ip`` has too, of interfaces of several kinds, up and down, with traffic."""

    def watch():
        make_links()
        reader = LinkReader()
        return referees.at_one_moment(referees.links, lambda: as_ip_says(reader.read()))

    seen, expected = namespace().call(watch)
    assert seen == expected
    assert expected["va"]["ipv4"] == ["10.8.0.1", "10.8.1.1", "10.8.2.1", "10.8.0.2"]


def test_links_are_what_psutil_says(namespace):
    """Every field that psutil has, of interfaces of several kinds; and speeds, of those that have one."""

    def watch():
        make_links()
        reader = LinkReader()
        run("ip", "addr", "del", "10.8.1.1/24", "dev", "va")  # psutil takes its label for an interface
        return referees.at_one_moment(
            lambda: as_psutil_says(portable.read_links().links), lambda: as_psutil_says(reader.read().links)
        )

    seen, expected = namespace().call(watch)
    assert seen == expected
    assert expected["va"][3] == 10_000
    assert expected["lo"][3] is None


def test_links_come_by_index(namespace):
    """The order is that of the kernel's numbers, and the moment is that of the counters."""
    host = namespace()
    host.ip("link", "add", "zz", "type", "veth", "peer", "name", "aa")

    def watch():
        reader = LinkReader()
        before = time.monotonic()
        reading = reader.read()
        return before <= reading.at_s <= time.monotonic(), [link.index for link in reading.links]

    in_time, indexes = host.call(watch)
    assert in_time
    assert len(indexes) == 3
    assert indexes == sorted(indexes)


CHANGES = {
    "goes down": ["link set va down"],
    "goes up again": ["link set va down", "link set va up"],
    "loses its carrier": ["link set vb down"],
    "has another mtu": ["link set va mtu 1300"],
    "has another name": ["link set va name renamed"],
    "has another master": ["link add br0 type bridge", "link set br0 up", "link set va master br0"],
    "has another address": ["addr add 10.8.9.1/24 dev va"],
    "has another IPv6 address": ["addr add fd08::9/64 dev va nodad"],
    "loses an address": ["addr del 10.77.0.1/24 dev va"],
    "is gone": ["link del va"],
    "is another one of that name": ["link del va", "link add va type bridge"],
    "has company": ["link add v2 type veth peer name v3"],
    "changes very often": ["link set va mtu 1300", "link set va mtu 1301"] * 200,
}


@pytest.mark.parametrize("commands", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen_in_the_next_read(namespace, commands):
    """A reader that has read before sees what one that has not sees, and what ``ip`` says."""

    def watch():
        run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
        for words in ("link set va up", "link set vb up", "addr add 10.77.0.1/24 dev va"):
            run("ip", *words.split())
        reader = LinkReader()
        before = as_ip_says(reader.read())
        for words in commands:
            run("ip", *words.split())
        seen, expected = referees.at_one_moment(referees.links, lambda: as_ip_says(reader.read()))
        return (
            before,
            seen,
            expected,
            as_psutil_says(reader.read().links),
            as_psutil_says(LinkReader().read().links),
        )

    before, seen, expected, kept, fresh = namespace().call(watch)
    assert seen == expected
    assert seen != before
    assert {name: link[3] for name, link in kept.items()} == {name: link[3] for name, link in fresh.items()}


def test_counters_are_new_in_every_read(namespace):
    """Traffic shows in the next read, though nothing else is read again."""
    near, far = namespace(), namespace()
    veth(near, far)

    def watch():
        reader = LinkReader()
        reader.read()
        time.sleep(1.5)  # until the kernel has told of the new carrier
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("10.77.0.2", 9))
            reader.read()
            before = {link.name: link for link in reader.read().links}["va"].counters
            for _ in range(10):
                sender.sendto(bytes(958), ("10.77.0.2", 9))
        reading, kinds = asked(reader.read)
        after = {link.name: link for link in reading.links}["va"].counters
        return after.tx_packets - before.tx_packets, after.tx_bytes - before.tx_bytes, kinds

    packets, size, kinds = near.call(watch)
    assert packets >= 10
    assert size >= 10_000
    assert kinds == [GETSTATS]


def test_nothing_is_kept_for_ever(namespace, monkeypatch):
    """What the kernel does not announce is read again after a while."""

    def watch():
        reader = LinkReader()
        first = asked(reader.read)[1]
        second = asked(reader.read)[1]
        monkeypatch.setattr(rtnetlink, "MAX_CACHE_S", 0)
        return first, second, asked(reader.read)[1]

    everything = [GETLINK, GETADDR, GETSTATS]
    assert namespace().call(watch) == (everything, [GETSTATS], everything)


def test_a_link_that_comes_between_the_dumps_is_listed(namespace):
    """An interface that is made after the announcements were looked at is in the reading, whole."""

    def watch():
        reader = LinkReader()
        reader.read()
        dump = netlink.dump

        def late(protocol, request, *rest):
            netlink.dump = dump
            run("ip", "link", "add", "late", "type", "bridge")
            return dump(protocol, request, *rest)

        netlink.dump = late
        return as_ip_says(reader.read()), referees.links()

    seen, expected = namespace().call(watch)
    assert seen == expected
    assert "late" in seen


def test_a_link_that_goes_between_the_dumps_is_left_out(namespace):
    """An interface that is gone before its counters are read is not in the reading."""

    def watch():
        run("ip", "link", "add", "early", "type", "bridge")
        reader = LinkReader()
        reader.read()
        dump = netlink.dump

        def late(protocol, request, *rest):
            netlink.dump = dump
            run("ip", "link", "del", "early")
            return dump(protocol, request, *rest)

        netlink.dump = late
        return [link.name for link in reader.read().links]

    assert namespace().call(watch) == ["lo"]


def test_links_that_keep_going_do_not_disturb(namespace):
    """While an interface goes before each dump of counters, those that stay are read."""

    def watch():
        for number in range(5):
            run("ip", "link", "add", f"br{number}", "type", "bridge")
        reader = LinkReader()
        reader.read()
        dump = netlink.dump
        going = iter(range(4))

        def late(protocol, request, *rest):
            if netlink.HEADER.unpack_from(request)[1] == GETSTATS:
                run("ip", "link", "del", f"br{next(going)}")
            return dump(protocol, request, *rest)

        netlink.dump = late
        return [[link.name for link in reader.read().links] for _ in range(2)]

    assert namespace().call(watch) == [["lo", "br2", "br3", "br4"], ["lo", "br4"]]


def test_many_links_are_all_read(namespace):
    """More interfaces than one datagram holds, each with its own name, address and counters."""
    host = namespace()
    lines = []
    for number in range(60):
        lines += [
            f"link add a{number} type veth peer name b{number}",
            f"addr add 10.9.{number}.1/24 dev a{number}",
        ]
    for line in lines:
        host.ip(*line.split())

    def watch():
        reader = LinkReader()
        return referees.at_one_moment(referees.links, lambda: as_ip_says(reader.read()))

    seen, expected = host.call(watch)
    assert seen == expected
    assert len(seen) == 121


def test_a_closed_reader_gives_back_its_descriptor_and_can_begin_anew():
    """One descriptor is kept while reading, none after."""
    before = os.listdir("/proc/self/fd")
    reader = LinkReader()
    names = [link.name for link in reader.read().links]
    reader.read()
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    reader.close()
    reader.close()
    assert os.listdir("/proc/self/fd") == before
    assert [link.name for link in reader.read().links] == names
    reader.close()
