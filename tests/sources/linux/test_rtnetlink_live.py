"""Interfaces on a real kernel, in network namespaces, compared with ``ip`` and psutil."""

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
#: The fields of `Link` that ``ip`` has, and those that psutil has.
OF_IP = ("index", "up", "mtu", "kind", "operstate", "carrier_changes")
OF_PSUTIL = ("name", "index", "up", "speed_mbps", "ipv4", "ipv6", "counters", "mtu")


def like_ip(reading):
    """A reading with the fields of `referees.links`."""
    links = {}
    for link in reading.links:
        fields = {name: getattr(link, name) for name in OF_IP}
        counters = link.counters._asdict()
        links[link.name] = {**fields, "counters": counters, "ipv4": list(link.ipv4), "ipv6": list(link.ipv6)}
    return links


def like_psutil(links):
    """The fields that psutil has, by interface."""
    return {link.name: tuple(getattr(link, field) for field in OF_PSUTIL) for link in links}


def dumped_kinds(work):
    """The result of ``work``, and the message type of each of its dumps."""
    kinds = []
    dump = netlink.dump

    def recording(protocol, request, *rest):
        kinds.append(netlink.HEADER.unpack_from(request)[1])
        return dump(protocol, request, *rest)

    netlink.dump = recording
    try:
        return work(), kinds
    finally:
        netlink.dump = dump


def test_links_are_those_of_ip(namespace):
    """Interfaces of several kinds, up and down, with traffic, have the same values as from ``ip``."""

    def watch():
        make_links()
        reader = LinkReader()
        return referees.at_one_moment(referees.links, lambda: like_ip(reader.read()))

    seen, expected = namespace().call(watch)
    assert seen == expected
    assert expected["va"]["ipv4"] == ["10.8.0.1", "10.8.1.1", "10.8.2.1", "10.8.0.2"]


def test_links_are_those_of_psutil(namespace):
    """Interfaces of several kinds have the same values as from psutil, also their speeds."""

    def watch():
        make_links()
        reader = LinkReader()
        run("ip", "addr", "del", "10.8.1.1/24", "dev", "va")  # psutil lists its label as an interface
        return referees.at_one_moment(
            lambda: like_psutil(portable.read_links().links), lambda: like_psutil(reader.read().links)
        )

    seen, expected = namespace().call(watch)
    assert seen == expected
    assert expected["va"][3] == 10_000
    assert expected["lo"][3] is None


def test_links_are_sorted_by_index(namespace):
    """The order is that of the kernel's indexes, and the time is that of the counters."""
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
    "has another name": ["link set va down", "link set va name renamed", "link set renamed up"],
    "has another master": ["link add br0 type bridge", "link set br0 up", "link set va master br0"],
    "has another address": ["addr add 10.8.9.1/24 dev va"],
    "has another IPv6 address": ["addr add fd08::9/64 dev va nodad"],
    "loses an address": ["addr del 10.77.0.1/24 dev va"],
    "is removed": ["link del va"],
    "is another one with that name": ["link del va", "link add va type bridge"],
    "is one of more links": ["link add v2 type veth peer name v3"],
    "changes very often": ["link set va mtu 1300", "link set va mtu 1301"] * 200,
}


@pytest.mark.parametrize("commands", CHANGES.values(), ids=CHANGES)
def test_a_change_is_seen_in_the_next_read(namespace, commands):
    """A reader with a cache has the same values as a new reader and as ``ip``."""

    def watch():
        run("ip", "link", "add", "va", "type", "veth", "peer", "name", "vb")
        for words in ("link set va up", "link set vb up", "addr add 10.77.0.1/24 dev va"):
            run("ip", *words.split())
        reader = LinkReader()
        before = like_ip(reader.read())
        for words in commands:
            run("ip", *words.split())
        seen, expected = referees.at_one_moment(referees.links, lambda: like_ip(reader.read()))
        return (
            before,
            seen,
            expected,
            like_psutil(reader.read().links),
            like_psutil(LinkReader().read().links),
        )

    before, seen, expected, kept, fresh = namespace().call(watch)
    assert seen == expected
    assert seen != before
    assert {name: link[3] for name, link in kept.items()} == {name: link[3] for name, link in fresh.items()}


def test_counters_are_new_in_every_read(namespace):
    """The next read has the counters of new traffic, and dumps nothing else."""
    near, far = namespace(), namespace()
    veth(near, far)

    def watch():
        reader = LinkReader()
        reader.read()
        time.sleep(1.5)  # until the kernel has announced the new carrier
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", ("10.77.0.2", 9))
            reader.read()
            before = {link.name: link for link in reader.read().links}["va"].counters
            for _ in range(10):
                sender.sendto(bytes(958), ("10.77.0.2", 9))
        reading, kinds = dumped_kinds(reader.read)
        after = {link.name: link for link in reading.links}["va"].counters
        return after.tx_packets - before.tx_packets, after.tx_bytes - before.tx_bytes, kinds

    packets, size, kinds = near.call(watch)
    assert packets >= 10
    assert size >= 10_000
    assert kinds == [GETSTATS]


def test_the_cache_expires(namespace, monkeypatch):
    """After a time everything is read again, because the kernel does not announce every change."""

    def watch():
        reader = LinkReader()
        first = dumped_kinds(reader.read)[1]
        second = dumped_kinds(reader.read)[1]
        monkeypatch.setattr(rtnetlink, "MAX_CACHE_S", 0)
        return first, second, dumped_kinds(reader.read)[1]

    all_kinds = [GETLINK, GETADDR, GETSTATS]
    assert namespace().call(watch) == (all_kinds, [GETSTATS], all_kinds)


def test_a_link_that_is_added_between_the_dumps_is_listed(namespace):
    """An interface that is added after the check for announcements is in the reading, with all values."""

    def watch():
        reader = LinkReader()
        reader.read()
        dump = netlink.dump

        def late(protocol, request, *rest):
            netlink.dump = dump
            run("ip", "link", "add", "late", "type", "bridge")
            return dump(protocol, request, *rest)

        netlink.dump = late
        return like_ip(reader.read()), referees.links()

    seen, expected = namespace().call(watch)
    assert seen == expected
    assert "late" in seen


def test_a_link_that_is_removed_between_the_dumps_is_left_out(namespace):
    """An interface that is removed before its counters are read is not in the reading."""

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


def test_links_that_are_removed_all_the_time_do_not_disturb(namespace):
    """While an interface is removed before each dump of counters, the others are read."""

    def watch():
        for number in range(5):
            run("ip", "link", "add", f"br{number}", "type", "bridge")
        reader = LinkReader()
        reader.read()
        dump = netlink.dump
        numbers = iter(range(4))

        def late(protocol, request, *rest):
            if netlink.HEADER.unpack_from(request)[1] == GETSTATS:
                run("ip", "link", "del", f"br{next(numbers)}")
            return dump(protocol, request, *rest)

        netlink.dump = late
        return [[link.name for link in reader.read().links] for _ in range(2)]

    assert namespace().call(watch) == [["lo", "br2", "br3", "br4"], ["lo", "br4"]]


def test_many_links_are_all_read(namespace):
    """More interfaces than fit into one datagram have each their own name, address and counters."""
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
        return referees.at_one_moment(referees.links, lambda: like_ip(reader.read()))

    seen, expected = host.call(watch)
    assert seen == expected
    assert len(seen) == 121


def test_a_closed_reader_has_no_descriptor_and_can_read_again():
    """A reader keeps one descriptor open until it is closed."""
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
