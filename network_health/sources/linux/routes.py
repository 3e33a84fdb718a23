"""Reads by which interface packets leave the host, from ``NETLINK_ROUTE``; see rtnetlink(7).

Guarantees: the kernel itself looks the route up, with its policy rules. Without a route, and if the route, or
the choice between equal paths, depends on a value that is not known, the interface is unknown. A local
destination has the loopback interface. At most `MAX_ROUTES` routes are looked up in one call.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from network_health.sources.linux import netlink, sysctl
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.netlink import attribute

#: Takes about 0.15 s.
MAX_ROUTES = 10_000

_NETLINK_ROUTE = 0
_NEWROUTE, _GETROUTE, _NEWRULE, _GETRULE = 24, 26, 32, 34
_ROUTE = struct.Struct("=BBBBBBBBI")  # rtmsg: family, lengths, tos, table, protocol, scope, type, flags
_RULE = struct.Struct("=BBBBBxxBI")  # fib_rule_hdr: family, lengths, tos, table, action, flags
_RTA_DST, _RTA_SRC, _RTA_IIF, _RTA_OIF, _RTA_GATEWAY, _RTA_MARK, _RTA_UID = 1, 2, 3, 4, 5, 16, 25
_RTA_IP_PROTO, _RTA_SPORT, _RTA_DPORT = 27, 28, 29
#: Route types that deliver packets: unicast, local, broadcast, anycast, multicast.
_DELIVERING = (1, 2, 3, 4, 5)

_FRA_FWMARK, _FRA_TUN_ID = 10, 12
_PORT_RULES = {22, 23, 24, 28, 29}  # FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE, and their masks
_UNKNOWN_RULES = {_FRA_TUN_ID, 25, 26}  # FRA_DSCP, FRA_FLOWLABEL: not known of a socket
_OF_A_RULE = {_FRA_FWMARK, *_PORT_RULES, *_UNKNOWN_RULES}
_FAMILIES = {4: int(socket.AF_INET), 16: int(socket.AF_INET6)}
_HASH_POLICIES = {4: "ipv4/fib_multipath_hash_policy", 16: "ipv6/fib_multipath_hash_policy"}
#: Policies by which the addresses alone choose between equal paths, of IPv4 (policy 2 outside of tunnels).
_BY_ADDRESSES = (0, 2)
#: RTM_F_FIB_MATCH: the answer is the entry of the table. One with several paths has no RTA_OIF.
_FIB_MATCH = 0x2000


class Flow(NamedTuple):
    """What the route of a packet depends on; addresses are packed, an empty ``source`` is not set.

    ``device`` is the interface that the socket is bound to, else 0. ``ports`` are the local and the remote
    one. ``arrives`` is the interface by which the packet came from elsewhere, 0 if it is this host's own.
    A ``protocol`` of 0 is not known.
    """

    source: bytes
    destination: bytes
    device: int = 0
    mark: int | None = 0
    uid: int = 0
    protocol: int = socket.IPPROTO_TCP
    ports: tuple[int, int] | None = None
    arrives: int = 0


class Route(NamedTuple):
    """The index of the interface by which packets leave, and the packed address of the next host on it."""

    device: int
    next_hop: bytes


@dataclass(slots=True)
class Rules:
    """On what the routes of one address family depend: policy rules, and the hash of equal paths.

    With ``hashes_packets`` only the packets that arrive show which of equal paths they take.
    """

    on_mark: bool = False
    on_ports: bool = False
    on_unknown: bool = False
    hashes_packets: bool = False


def read_routes(flows: Sequence[Flow], rules: Mapping[int, Rules]) -> list[Route | None]:
    """The route of each flow; ``None`` if it is unknown. ``rules`` are those of `read_rules`.

    The first flows are looked up first, so put those first that matter most.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    if not flows:
        return []
    known: dict[Flow, Route | None] = {}
    found: list[Route | None] = []
    with netlink.exchange(_NETLINK_ROUTE) as ask:
        for each in flows:
            of_family = rules[len(each.destination)]
            flow = _needed(each, of_family)
            if flow is not None and flow not in known and len(known) < MAX_ROUTES:
                route = _route(ask, flow)
                if route and _is_hash_unknown(flow, of_family) and not _route(ask, flow, _FIB_MATCH):
                    route = None
                known[flow] = route
            found.append(known.get(flow) if flow is not None else None)
    return found


def parse_route(datagram: bytes, destination: bytes) -> Route | None:
    """The route to ``destination`` in the answer; ``None`` if the route does not deliver.

    Raises:
        OSError: there is no route.
        KernelFormatError: the answer has an unknown format.
    """
    kind, start, end = next(netlink.messages(datagram))
    if kind != _NEWROUTE or end - start < _ROUTE.size:
        raise KernelFormatError(f"rtnetlink: a message of kind {kind} and {end - start} bytes")
    route_type = _ROUTE.unpack_from(datagram, start)[7]
    found = netlink.attributes(datagram, start + _ROUTE.size, end, {_RTA_OIF, _RTA_GATEWAY})
    device = found.get(_RTA_OIF)
    if route_type not in _DELIVERING or device is None:
        return None
    if len(device) != 4:
        raise KernelFormatError(f"rtnetlink: an interface index of {len(device)} bytes")
    return Route(struct.unpack("=I", device)[0], found.get(_RTA_GATEWAY) or destination)


def parse_rules(datagram: bytes, rules: dict[int, Rules]) -> bool:
    """Add what the rules depend on to ``rules``, by length of an address; True if the dump ends here.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the datagram has an unknown format.
    """
    lengths = {family: length for length, family in _FAMILIES.items()}

    def add(body: tuple[int, ...], start: int, end: int) -> None:
        family, _, _, tos, *_ = body
        found = netlink.attributes(datagram, start, end, _OF_A_RULE).keys()
        if family in lengths:
            of_family = rules.setdefault(lengths[family], Rules())
            of_family.on_mark |= _FRA_FWMARK in found
            of_family.on_ports |= bool(found & _PORT_RULES)
            of_family.on_unknown |= bool(tos or found & _UNKNOWN_RULES)

    return netlink.for_each(datagram, _NEWRULE, _RULE, add)


def read_rules() -> dict[int, Rules]:
    """On what routes depend, by length of an address.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    request = netlink.dump_request(_GETRULE, _RULE.pack(0, 0, 0, 0, 0, 0, 0))
    rules: dict[int, Rules] = {}
    try:
        rules = netlink.dump(_NETLINK_ROUTE, request, dict[int, Rules], parse_rules)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:  # a kernel without policy rules
            raise
    for length, name in _HASH_POLICIES.items():
        of_family = rules.setdefault(length, Rules())
        policy = (sysctl.read_numbers(name) or (0,))[0]
        of_family.on_ports |= bool(policy)
        # That of IPv6 always includes the flow label.
        of_family.hashes_packets = length == 16 or policy not in _BY_ADDRESSES
    return rules


def _needed(flow: Flow, rules: Rules) -> Flow | None:
    """The flow without the values that its route does not depend on; ``None`` if one of them is unknown."""
    mark = flow.mark if rules.on_mark else 0
    if rules.on_unknown or mark is None or (rules.on_ports and not (flow.ports and flow.protocol)):
        return None
    if not rules.on_ports:
        # The hash of IPv6 always includes the protocol.
        protocol = flow.protocol if len(flow.destination) == 16 and not flow.arrives else 0
        return flow._replace(mark=mark, protocol=protocol, ports=None)
    return flow._replace(mark=mark)


def _is_hash_unknown(flow: Flow, rules: Rules) -> bool:
    """Whether the kernel's answer may be another one of equal paths than that of the packets."""
    if flow.arrives:
        return rules.hashes_packets
    return len(flow.destination) == 16 and not flow.protocol


def _route(ask: Callable[[int, bytes], bytes], flow: Flow, flags: int = 0) -> Route | None:
    answer = ask(_GETROUTE, _request(flow, flags))
    try:
        return parse_route(answer, flow.destination)
    except OSError:  # no route
        return None


def _request(flow: Flow, flags: int) -> bytes:
    bits = 8 * len(flow.destination)
    source_bits = bits if flow.source else 0
    body = _ROUTE.pack(_FAMILIES[len(flow.destination)], bits, source_bits, 0, 0, 0, 0, 0, flags)
    body += attribute(_RTA_DST, flow.destination)
    if flow.arrives:  # then no user sends it
        body += attribute(_RTA_IIF, struct.pack("=I", flow.arrives))
    else:
        body += attribute(_RTA_UID, struct.pack("=I", flow.uid))
    if flow.source:
        body += attribute(_RTA_SRC, flow.source)
    if flow.device:
        body += attribute(_RTA_OIF, struct.pack("=I", flow.device))
    if flow.mark:
        body += attribute(_RTA_MARK, struct.pack("=I", flow.mark))
    if flow.protocol:
        body += attribute(_RTA_IP_PROTO, bytes([flow.protocol]))
    if flow.ports:
        local, remote = flow.ports
        body += attribute(_RTA_SPORT, struct.pack("!H", local))
        body += attribute(_RTA_DPORT, struct.pack("!H", remote))
    return body
