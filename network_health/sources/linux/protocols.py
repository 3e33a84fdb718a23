"""Reads the protocol counters and the use of the kernel's limits, from `proc_net` and `sysctl`.

Guarantees: a value that this kernel or this network namespace does not have is ``None``. A source that exists
but cannot be read is an error.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from network_health.model import PortUse, ProtocolCounters, ProtocolReading, Share
from network_health.sources.linux import ephemeral_ports, ip_counters, proc_net
from network_health.sources.linux.procfs import require_proc
from network_health.sources.linux.sysctl import has_limits, read_numbers

_UDP = ("Udp", "UdpLite")


def read_protocols(with_ports: bool = False) -> ProtocolReading:
    """Read the protocols; ``with_ports`` adds the busiest ephemeral ports, which takes a dump of all sockets.

    Raises:
        OSError: the kernel denies access, or ``/proc`` is not mounted.
        KernelFormatError: a source has an unknown format.
    """
    require_proc()  # else every counter would be missing, as on a kernel that has none
    at_s = time.monotonic()
    tables = proc_net.parse_tables(proc_net.read_net("snmp") + proc_net.read_net("netstat"))
    snmp6 = proc_net.parse_snmp6(proc_net.read_net("snmp6"))
    tcp = proc_net.parse_sockstat(proc_net.read_net("sockstat")).get("TCP", {})
    return ProtocolReading(
        at_s=at_s,
        counters=counters(tables, snmp6),
        softnet=proc_net.parse_softnet(proc_net.read_net("softnet_stat")),
        conntrack=_share(_number("netfilter/nf_conntrack_count"), _number("netfilter/nf_conntrack_max")),
        orphans=_share(tcp.get("orphan"), _number("ipv4/tcp_max_orphans")),
        tcp_memory=_share(tcp.get("mem"), _number("ipv4/tcp_mem")),
        busiest_ports=_busiest_ports() if with_ports else None,
        ip=ip_counters.select(tables, snmp6),
        has_limits=has_limits(),
    )


def counters(tables: Mapping[str, Mapping[str, int]], snmp6: Mapping[str, int]) -> ProtocolCounters:
    """Select the monitored counters from ``snmp``, ``netstat`` and ``snmp6``."""
    tcp, extended = tables.get("Tcp", {}), tables.get("TcpExt", {})

    def udp(name: str) -> int | None:
        values = [tables[protocol].get(name) for protocol in _UDP if protocol in tables]
        values += [snmp6.get(f"{protocol}6{name}") for protocol in _UDP]
        known = [value for value in values if value is not None]
        return sum(known) if known else None

    return ProtocolCounters(
        out_segments=tcp.get("OutSegs"),
        retransmitted_segments=tcp.get("RetransSegs"),
        listen_overflows=extended.get("ListenOverflows"),
        listen_drops=extended.get("ListenDrops"),
        syn_cookies_sent=extended.get("SyncookiesSent"),
        syn_queue_full_cookies=extended.get("TCPReqQFullDoCookies"),
        syn_queue_full_drops=extended.get("TCPReqQFullDrop"),
        udp_receive_buffer_errors=udp("RcvbufErrors"),
        udp_send_buffer_errors=udp("SndbufErrors"),
    )


def _number(name: str) -> int | None:
    """The last number of a setting: for ``tcp_mem`` its limit, for the others the only one."""
    numbers = read_numbers(name)
    return numbers[-1] if numbers else None


def _share(used: int | None, limit: int | None) -> Share | None:
    return Share(used, limit) if used is not None and limit else None


def _busiest_ports() -> PortUse | None:
    limits = read_numbers("ipv4/ip_local_port_range")
    return ephemeral_ports.read_busiest(limits[0], limits[-1]) if limits else None
