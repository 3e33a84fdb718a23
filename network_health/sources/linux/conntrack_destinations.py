"""Reads where tracked connections are redirected to, from ``NETLINK_NETFILTER``; see nfnetlink_conntrack.h.

Guarantees: the table is that of the calling thread's network namespace. A connection that it does not have,
or that the kernel does not let this process read, is unknown. At most `MAX_DESTINATIONS` are looked up.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Sequence

from network_health.model import FlowTuple
from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.netlink import attribute, attributes

#: Takes about 50 ms.
MAX_DESTINATIONS = 500

_NETLINK_NETFILTER = 12
_NEW, _GET = 0x100, 0x101  # NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW, IPCTNL_MSG_CT_GET
_BODY = struct.Struct("=BBH")  # nfgenmsg: family, version, resource
_NESTED = 0x8000
_ORIGINAL, _REPLY = 1, 2  # CTA_TUPLE_ORIG, CTA_TUPLE_REPLY
_IP, _PROTOCOL = 1, 2  # CTA_TUPLE_IP, CTA_TUPLE_PROTO
_NUMBER, _SOURCE_PORT, _PORT = 1, 2, 3
#: By length of an address: the family, and the attributes of source and destination.
_FAMILIES = {4: (int(socket.AF_INET), 1, 2), 16: (int(socket.AF_INET6), 3, 4)}


def read_destinations(flows: Sequence[FlowTuple]) -> list[bytes | None]:
    """The packed address that the packets of each TCP connection reach; ``None`` if it is unknown.

    It is the destination of the flow, or the one that a rule has put in its place. The first flows are looked
    up first.

    Raises:
        OSError: the kernel does not answer in time.
        KernelFormatError: its answer has an unknown format.
    """
    if not flows:
        return []
    with netlink.exchange(_NETLINK_NETFILTER) as ask:
        found = [_destination(ask, flow) for flow in flows[:MAX_DESTINATIONS]]
    return [*found, *[None] * (len(flows) - len(found))]


def parse_destination(datagram: bytes, flow: FlowTuple) -> bytes:
    """The address that the packets of ``flow`` reach, in the answer about it.

    Raises:
        OSError: the kernel has no such entry, or denies access.
        KernelFormatError: the answer has an unknown format.
    """
    kind, start, end = next(netlink.messages(datagram))
    if kind != _NEW or end - start < _BODY.size:
        raise KernelFormatError(f"ctnetlink: a message of kind {kind} and {end - start} bytes")
    found = attributes(datagram, start + _BODY.size, end, (_ORIGINAL, _REPLY))
    original, reply = (_tuple(found.get(each, b"")) for each in (_ORIGINAL, _REPLY))
    if flow == original:
        return reply.source
    if flow == reply:
        return original.source
    raise KernelFormatError("ctnetlink: an entry about another connection")


def _destination(ask: Callable[[int, bytes], bytes], flow: FlowTuple) -> bytes | None:
    family, *addresses = _FAMILIES[len(flow.source)]
    ip = b"".join(map(attribute, addresses, (flow.source, flow.destination)))
    ports = (_SOURCE_PORT, flow.source_port), (_PORT, flow.port)
    protocol = attribute(_NUMBER, bytes([socket.IPPROTO_TCP]))
    protocol += b"".join(attribute(kind, struct.pack("!H", port)) for kind, port in ports)
    nested = attribute(_NESTED | _IP, ip) + attribute(_NESTED | _PROTOCOL, protocol)
    answer = ask(_GET, _BODY.pack(family, 0, 0) + attribute(_NESTED | _ORIGINAL, nested))
    try:
        return parse_destination(answer, flow)
    except OSError:  # it is not tracked, or this process lacks CAP_NET_ADMIN
        return None


def _tuple(data: bytes) -> FlowTuple:
    found = attributes(data, 0, len(data), (_IP, _PROTOCOL))
    ip = attributes(found.get(_IP, b""), 0, len(found.get(_IP, b"")), (1, 2, 3, 4))
    ports = found.get(_PROTOCOL, b"")
    protocol = attributes(ports, 0, len(ports), (_SOURCE_PORT, _PORT))
    source, destination = (ip.get(each) or ip.get(each + 2, b"") for each in (1, 2))
    numbers = (int.from_bytes(protocol.get(each, b""), "big") for each in (_SOURCE_PORT, _PORT))
    return FlowTuple(source, destination, *numbers)
