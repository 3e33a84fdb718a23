"""What a finding says about UDP and ICMP: real packets between network namespaces."""

import contextlib
import re
import socket
import struct

import pytest

from network_health.attribution.traffic_window import TrafficWindows
from tests.netns import veth
from tests.real_kernel.paced import Sender, check, listening, started

pytestmark = pytest.mark.root

_PART = re.compile(r"(\d+)% not TCP: (?:at least )?([\d,]+) (\S+)")
DATAGRAM, HEADERS = 1200, 42


def said(content, finding):
    """The share and the number of packets per second of the kind ``UDP`` or ``ICMP``; empty without them."""
    sentence = next((each for each in content["details"].split("; ") if each.startswith(finding)), None)
    assert sentence, content["details"]
    found = _PART.search(sentence)
    return (int(found[1]), int(found[2].replace(",", "")), found[3]) if found else ()


@pytest.fixture
def pair(namespace):
    """A host with eth0, and the other end."""
    host, end = namespace(), namespace()
    veth(host, end, ("eth0", "p"), ("10.8.0.1/24", "10.8.0.2/24"))
    return host, end


def test_a_flood_of_datagrams(pair):
    """Both ends report it, with the datagrams that were sent; at the one end no socket takes them."""
    host, end = pair
    flood = Sender("flood", "10.8.0.2", 20, udp=True)
    with started(host, flood.run):
        contents = check(host, []), check(end, [])
    for content, iface, direction in zip(contents, ("eth0", "p"), ("outbound", "inbound"), strict=True):
        link = next(each for each in content["metrics"]["interfaces"] if each["iface"] == iface)
        mbps = link["tx_rate_mbps" if direction == "outbound" else "rx_rate_mbps"]
        per_second, finding = mbps * 1e6 / 8 / (DATAGRAM + HEADERS), f"{iface} {direction}"
        share, number, kind = said(content, finding)
        assert (kind, number) == ("UDP", pytest.approx(per_second, rel=0.15)), content["details"]
        assert share >= 95, content["details"]
        seen = content["metrics"]["traffic"]
        sent_or_received = seen["udp_tx_datagrams_per_sec"] + seen["udp_rx_datagrams_per_sec"]
        assert sent_or_received == pytest.approx(per_second, rel=0.15)
        assert seen["forwarded_packets_per_sec"] == 0


def test_datagrams_beside_tcp(pair):
    """The share of what is not TCP is at most the true one; the process that sends TCP has its own."""
    host, end = pair
    senders = [Sender("flood", "10.8.0.2", 20, udp=True), Sender("backup", "10.8.0.2", 20)]
    with listening(end):
        content = check(host, senders)
    share, _, _ = said(content, "eth0 outbound")
    assert 35 <= share <= 52, content["details"]
    parts = {each["kind"]: each["net_tx_bytes"] for each in content["metrics"]["top_network"][-1]["parts"]}
    (evidence,) = content["metrics"]["culprits"]["tx_rate"]
    assert parts["not_tcp"] == evidence["not_tcp"]["bytes"]


def test_datagrams_within_the_host_are_not_those_of_a_link(pair):
    """TCP on the link, datagrams on ``lo``: the link is not said to have carried them."""
    host, end = pair
    senders = [Sender("flood", "127.0.0.1", 20, udp=True), Sender("backup", "10.8.0.2", 20)]
    with listening(end):
        content = check(host, senders)
    assert said(content, "eth0 outbound") == (), content["details"]


def test_forwarded_datagrams_are_not_those_of_the_host(namespace):
    """A router has no share for what it forwards; the container that sends it has, if it can be entered."""
    router, source, sink = namespace(), namespace(), namespace()
    veth(router, source, ("in", "p"), ("10.8.0.1/24", "10.8.0.2/24"))
    veth(router, sink, ("out", "p"), ("10.7.0.1/24", "10.7.0.2/24"))
    router.sysctl("net.ipv4.ip_forward", 1)
    source.ip("route", "add", "10.7.0.0/24", "via", "10.8.0.1")
    with started(source, Sender("flood", "10.7.0.2", 20, udp=True).run):
        content = check(router, [])
        of_container = check(router, [], namespaces="auto")
    assert (said(content, "in inbound"), said(content, "out outbound")) == ((), ()), content["details"]
    assert said(of_container, "in inbound")[2] == "UDP", of_container["details"]


def test_filtered_packets_are_not_known(pair):
    """Datagrams that no protocol received may have been anything."""
    host, end = pair
    end.sysctl("net.ipv4.conf.all.rp_filter", 1)
    host.ip("addr", "add", "10.66.0.1/24", "dev", "eth0")
    host.ip("neigh", "add", "10.8.0.2", "lladdr", end.links()["p"]["address"], "dev", "eth0")
    with started(host, Sender("flood", "10.8.0.2", 20, source="10.66.0.1", udp=True).run):
        content = check(end, [])
    assert said(content, "p inbound") == (), content["details"]


def _counted(packets):
    """What the kernel counts while so many echo requests, datagrams with GSO and segments are sent."""
    with contextlib.closing(TrafficWindows()) as windows:
        windows.read()
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as raw:
            for _ in range(packets):
                raw.sendto(struct.pack("!BBHHH", 8, 0, 0xF7F7, 0x0404, 0x0404), ("10.8.0.2", 0))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            datagrams.setsockopt(socket.SOL_UDP, 103, 1000)  # UDP_SEGMENT
            for _ in range(packets):
                datagrams.sendto(bytes(5000), ("10.8.0.2", 9))
        counted = windows.read(is_last=True).counted
    return counted.icmp_messages[0], counted.datagrams[0], counted.octets[0]


def test_echo_requests_and_merged_datagrams(pair):
    """Each call counts as one packet, and all bytes of IP packets count."""
    icmp, datagrams, octets = pair[0].call(_counted, 50)
    assert datagrams == 50
    assert 50 <= icmp <= 55  # IPv6 announces itself by ICMP
    assert octets == pytest.approx(50 * (28 + 5028), rel=0.02)
