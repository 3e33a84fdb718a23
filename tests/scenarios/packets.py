"""Packets that no socket makes, and packets that get lost."""

import itertools
import socket
import struct

_NETFILTER, _INET = 12, 2
_CREATE, _APPEND, _ACKNOWLEDGE = 0x400, 0x800, 4
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE, _DELETE_TABLE = 0xA00, 0xA03, 0xA06, 0xA02
#: Where a chain is hooked to, and its place among others.
_INPUT_HOOK, _FIRST = 1, 0
_DROP, _NUMGEN_INCREMENTAL = 0, 0
_TABLE = b"loss\0"


def drop_every(nth, address):
    """Drop each ``nth`` packet to an IPv4 address in the network namespace of the caller; 0 ends it.

    By a rule of nftables: ``ip daddr ADDRESS numgen inc mod NTH 0 drop``.
    """
    if not nth:
        _apply([_message(_DELETE_TABLE, 0, _attribute(1, _TABLE))])
        return
    expressions = [
        ("payload", [(1, _u32(1)), (2, _u32(1)), (3, _u32(16)), (4, _u32(4))]),  # destination into register 1
        ("cmp", [(1, _u32(1)), (2, _u32(0)), (3, _attribute(1, socket.inet_aton(address)))]),
        ("numgen", [(1, _u32(1)), (2, _u32(nth)), (3, _u32(_NUMGEN_INCREMENTAL))]),
        ("cmp", [(1, _u32(1)), (2, _u32(0)), (3, _attribute(1, bytes(4)))]),
        ("immediate", [(1, _u32(0)), (2, _nested(2, _attribute(1, _u32(_DROP))))]),
    ]
    rule = b"".join(_nested(1, _expression(name, fields)) for name, fields in expressions)
    hook = _attribute(1, _u32(_INPUT_HOOK)) + _attribute(2, _u32(_FIRST))
    chain = _attribute(1, _TABLE) + _attribute(3, b"c\0") + _nested(4, hook) + _attribute(7, b"filter\0")
    _apply(
        [
            _message(_NEW_TABLE, _CREATE, _attribute(1, _TABLE)),
            _message(_NEW_CHAIN, _CREATE, chain),
            _message(
                _NEW_RULE, _CREATE | _APPEND, _attribute(1, _TABLE) + _attribute(2, b"c\0") + _nested(4, rule)
            ),
        ]
    )


def syn(source, target, source_port, port):
    """An IPv4 packet with the SYN of a connection from any address."""
    addresses = socket.inet_aton(source) + socket.inet_aton(target)
    tcp = struct.pack("!HHIIBBHHH", source_port, port, source_port, 0, 0x50, 0x02, 8192, 0, 0)
    check = _checksum(addresses + struct.pack("!HH", socket.IPPROTO_TCP, len(tcp)) + tcp)
    ip = struct.pack("!BBHHHBBH", 0x45, 0, 40, 0, 0, 64, socket.IPPROTO_TCP, 0) + addresses
    return ip + tcp[:16] + struct.pack("!H", check) + tcp[18:]


def _apply(messages):
    batch = [_message(_BATCH_BEGIN, 0, family=0, resource=10), *messages]
    batch.append(_message(_BATCH_END, 0, family=0, resource=10))
    numbers = itertools.count(1)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as netlink:
        netlink.settimeout(10)
        netlink.sendto(b"".join(message(next(numbers)) for message in batch), (0, 0))
        for _ in messages:
            (status,) = struct.unpack_from("=i", netlink.recv(65536), 16)
            assert status == 0, f"nftables: {status}"


def _message(kind, flags, attributes=b"", family=_INET, resource=0):
    acknowledge = 0 if kind in {_BATCH_BEGIN, _BATCH_END} else _ACKNOWLEDGE
    body = struct.pack("!BBH", family, 0, resource) + attributes

    def numbered(number):
        return struct.pack("=IHHII", 16 + len(body), kind, 1 | flags | acknowledge, number, 0) + body

    return numbered


def _expression(name, fields):
    data = b"".join(_attribute(kind, value) for kind, value in fields)
    return _attribute(1, name.encode() + b"\0") + _nested(2, data)


def _u32(value):
    return struct.pack("!I", value)


def _attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _nested(kind, value):
    return _attribute(kind | 0x8000, value)


def _checksum(octets):
    total = sum(struct.unpack(f"!{len(octets) // 2}H", octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
