"""The counters of IP, UDP, ICMP and TCP: recorded files, and files without some of them."""

import pytest

from network_health.model import IpCounters
from network_health.sources.linux import ip_counters, proc_net
from tests.sources.linux import recorded as recordings


def recorded():
    """The tables of ``snmp`` and ``netstat``, and ``snmp6``."""
    snmp, netstat, snmp6 = (recordings.text(f"protocols/{name}") for name in ("snmp", "netstat", "snmp6"))
    return dict(proc_net.parse_tables(snmp + netstat)), dict(proc_net.parse_snmp6(snmp6))


def test_each_kernel_has_the_counters(each_kernel):
    """What this host made itself is known on each, with and without OutTransmits (Linux 6.7)."""
    tables, snmp6 = recorded()
    assert ("OutTransmits" in tables["Ip"]) is (each_kernel != "linux-6.1")
    found = ip_counters.select(tables, snmp6)
    assert None not in found
    assert found.octets[0] > 0


def test_the_recorded_counters():
    """IPv4 and IPv6 are added; what no socket took has arrived, too."""
    tables, snmp6 = recorded()
    assert ip_counters.select(tables, snmp6) == IpCounters(
        octets=(477308, 476432),
        multicast_octets=76,
        datagrams=(450, 450),
        icmp_messages=(1, 0),
        segments=(248, 248),
        forwarded=0,
        undelivered=0,
        aborted=0,
        packets=(699, 698),
    )


@pytest.mark.parametrize(
    ("name", "added", "undelivered"),
    [("InReceives", 5, 5), ("ForwDatagrams", 5, -5), ("ReasmReqds", 5, -5), ("ReasmOKs", 2, 2)],
)
def test_packets_that_no_protocol_got(name, added, undelivered):
    """They are neither delivered nor forwarded, nor fragments of another packet; the same for IPv6."""
    tables, snmp6 = recorded()
    ip = tables["Ip"] | {name: tables["Ip"][name] + added}
    assert ip_counters.select(tables | {"Ip": ip}, snmp6).undelivered == undelivered
    name = {"ForwDatagrams": "OutForwDatagrams"}.get(name, name)
    snmp6 |= {f"Ip6{name}": snmp6.get(f"Ip6{name}", 0) + added}
    assert ip_counters.select(tables, snmp6).undelivered == undelivered


@pytest.mark.parametrize("is_new", [False, True])
def test_packets_that_this_host_made(is_new):
    """Before Linux 6.7, which counts OutTransmits, those that were forwarded are requests as well."""
    tables, snmp6 = recorded()
    ip = {"OutTransmits": 900, **tables["Ip"], "OutRequests": 900, "ForwDatagrams": 100}
    snmp6 |= {"Ip6OutTransmits": 90, "Ip6OutRequests": 90, "Ip6OutForwDatagrams": 10}
    if not is_new:
        del ip["OutTransmits"], snmp6["Ip6OutTransmits"]
    sent = ip_counters.select(tables | {"Ip": ip}, snmp6).packets[0]
    assert sent == (990 if is_new else 880)


def test_a_host_without_ipv6():
    """Without ``snmp6`` the counters are those of IPv4."""
    assert ip_counters.select(recorded()[0], {}).octets == (320032, 319232)


@pytest.mark.parametrize("missing", ["Ip", "IpExt", "Tcp", "Icmp", "TcpExt"])
def test_a_kernel_without_the_counters(missing):
    """Nothing is known; UDP-Lite may be missing."""
    tables, snmp6 = recorded()
    del tables["UdpLite"]
    assert ip_counters.select(tables, snmp6) is not None
    del tables[missing]
    assert ip_counters.select(tables, snmp6) is None
