"""Reads the counters of IP, UDP, ICMP and TCP, from `proc_net`: ``snmp``, ``netstat`` and ``snmp6``."""

from __future__ import annotations

from collections.abc import Mapping

from network_health.model import IpCounters
from network_health.sources.linux import proc_net

#: The protocols whose packets are datagrams, in ``snmp``; in ``snmp6`` their name ends with 6.
_UDP = ("Udp", "UdpLite")
#: What a UDP socket got, what no socket wanted, and what did not fit into its buffer.
_ARRIVED = ("InDatagrams", "NoPorts", "InErrors")


def read_ip_counters() -> IpCounters | None:
    """The counters since boot; ``None`` as in `select`.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: a source has an unknown format.
    """
    tables = proc_net.parse_tables(proc_net.read_net("snmp") + proc_net.read_net("netstat"))
    return select(tables, proc_net.parse_snmp6(proc_net.read_net("snmp6")))


def select(tables: Mapping[str, Mapping[str, int]], snmp6: Mapping[str, int]) -> IpCounters | None:
    """Select the counters; ``None`` if the kernel does not have those of IPv4. IPv6 may be off."""
    try:
        ip, octets, tcp, icmp = (tables[name] for name in ("Ip", "IpExt", "Tcp", "Icmp"))
        fragments = ip["ReasmReqds"] - ip["ReasmOKs"]
        undelivered = ip["InReceives"] - ip["InDelivers"] - ip["ForwDatagrams"] - fragments
        of_ipv4 = IpCounters(
            octets=(octets["OutOctets"], octets["InOctets"]),
            multicast_octets=octets["OutMcastOctets"] + octets["OutBcastOctets"],
            datagrams=(
                sum(tables[each]["OutDatagrams"] for each in _UDP if each in tables),
                sum(tables[each][name] for each in _UDP if each in tables for name in _ARRIVED),
            ),
            icmp_messages=(icmp["OutMsgs"], icmp["InMsgs"]),
            segments=(tcp["OutSegs"], tcp["InSegs"]),
            forwarded=ip["ForwDatagrams"],
            undelivered=undelivered,
            aborted=tables["TcpExt"]["TCPAbortOnData"],
            packets=(_own_requests(ip, "", ip["ForwDatagrams"]), ip["InDelivers"]),
        )
    except KeyError:
        return None
    return _with_ipv6(of_ipv4, snmp6) if snmp6 else of_ipv4


def _with_ipv6(of_ipv4: IpCounters, snmp6: Mapping[str, int]) -> IpCounters:
    def total(*names: str) -> int:
        return sum(snmp6.get(name, 0) for name in names)

    arrived = total(*(f"{each}6{name}" for each in _UDP for name in _ARRIVED))
    received = total("Ip6InDelivers", "Ip6OutForwDatagrams", "Ip6ReasmReqds") - total("Ip6ReasmOKs")
    return of_ipv4._replace(
        octets=(of_ipv4.octets[0] + total("Ip6OutOctets"), of_ipv4.octets[1] + total("Ip6InOctets")),
        multicast_octets=of_ipv4.multicast_octets + total("Ip6OutMcastOctets", "Ip6OutBcastOctets"),
        datagrams=(
            of_ipv4.datagrams[0] + total(*(f"{each}6OutDatagrams" for each in _UDP)),
            of_ipv4.datagrams[1] + arrived,
        ),
        icmp_messages=(
            of_ipv4.icmp_messages[0] + total("Icmp6OutMsgs"),
            of_ipv4.icmp_messages[1] + total("Icmp6InMsgs"),
        ),
        forwarded=of_ipv4.forwarded + total("Ip6OutForwDatagrams"),
        packets=(
            of_ipv4.packets[0] + _own_requests(snmp6, "Ip6", total("Ip6OutForwDatagrams")),
            of_ipv4.packets[1] + total("Ip6InDelivers"),
        ),
        undelivered=of_ipv4.undelivered + total("Ip6InReceives") - received,
    )


def _own_requests(counters: Mapping[str, int], prefix: str, forwarded: int) -> int:
    """The packets that this host made. Before Linux 6.7 the kernel adds those that were forwarded."""
    is_own = f"{prefix}OutTransmits" in counters
    return counters.get(f"{prefix}OutRequests", 0) - (0 if is_own else forwarded)
