"""Rules of nftables for tests, in the network namespace of the caller; no tool is needed for them.

See linux/netfilter/nf_tables.h. Each function sets one table; `remove` removes it.
"""

import itertools
import socket
import struct

_NETFILTER, _IPV4 = 12, 2
_CREATE, _APPEND, _ACKNOWLEDGE = 0x400, 0x800, 4
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE, _DELETE_TABLE = 0xA00, 0xA03, 0xA06, 0xA02
_DROP, _DESTINATION_NAT = 0, 1
_EQUALS, _DIFFERS = 0, 1
#: Where a header begins, and fields of IPv4 and of TCP and UDP: offset and length.
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_PROTOCOL, _SOURCE, _DESTINATION, _PORT = (9, 1), (12, 4), (16, 4), (2, 2)
#: The type of a chain, where it is hooked to, and its place among others.
_FILTER_INPUT, _FILTER_FORWARD = (b"filter", 1, 0), (b"filter", 2, 0)
_NAT_PREROUTING, _NAT_POSTROUTING = (b"nat", 0, -100), (b"nat", 4, 100)


def drop_every(nth, address):
    """Drop each ``nth`` packet to an IPv4 address, in the table ``loss``."""
    numgen = _expression("numgen", [(1, _u32(1)), (2, _u32(nth)), (3, _u32(0))])
    verdict = _attribute(_nested(2), _attribute(1, _u32(_DROP)))
    drop = _expression("immediate", [(1, _u32(0)), (2, verdict)])
    rule = [
        *_is(_NETWORK_HEADER, _DESTINATION, socket.inet_aton(address)),
        numgen,
        _compare(_EQUALS, bytes(4)),
        drop,
    ]
    _add("loss", _FILTER_INPUT, rule)


def drop_forwarded(address):
    """Drop what is forwarded to an IPv4 address, in the table ``filter``."""
    verdict = _attribute(_nested(2), _attribute(1, _u32(_DROP)))
    drop = _expression("immediate", [(1, _u32(0)), (2, verdict)])
    rule = [*_is(_NETWORK_HEADER, _DESTINATION, socket.inet_aton(address)), drop]
    _add("filter", _FILTER_FORWARD, rule)


def masquerade(network):
    """Give what is forwarded from a /24 to other networks the address of the interface by which it leaves."""
    octets = socket.inet_aton(network)[:3]
    (source, _), (destination, _) = _SOURCE, _DESTINATION
    from_there = _is(_NETWORK_HEADER, (source, 3), octets)
    elsewhere = _is(_NETWORK_HEADER, (destination, 3), octets, _DIFFERS)
    rule = [*from_there, *elsewhere, _expression("masq", [])]
    _add("masquerade", _NAT_POSTROUTING, rule)


def publish(address, port, target, target_port):
    """Forward connections to a TCP port of an address to another address and port."""
    rule = [
        *_is(_NETWORK_HEADER, _PROTOCOL, bytes([socket.IPPROTO_TCP])),
        *_is(_NETWORK_HEADER, _DESTINATION, socket.inet_aton(address)),
        *_is(_TRANSPORT_HEADER, _PORT, struct.pack("!H", port)),
        _load(1, socket.inet_aton(target)),
        _load(2, struct.pack("!H", target_port)),
        _expression("nat", [(1, _u32(_DESTINATION_NAT)), (2, _u32(_IPV4)), (3, _u32(1)), (5, _u32(2))]),
    ]
    _add("publish", _NAT_PREROUTING, rule)


def track():
    """Let the kernel track connections that are forwarded, as a rule that nothing matches does."""
    _add("track", _NAT_POSTROUTING, [*_is(_NETWORK_HEADER, _PROTOCOL, b"\xff"), _expression("masq", [])])


def remove(table):
    """Remove a table with its rule."""
    _apply([_message(_DELETE_TABLE, 0, _text(1, table))])


def _add(table, chain, expressions):
    kind, hook, priority = chain
    hooked = _attribute(1, _u32(hook)) + _attribute(2, struct.pack("!i", priority))
    rule = b"".join(_attribute(_nested(1), each) for each in expressions)
    place = _text(1, table)
    _apply(
        [
            _message(_NEW_TABLE, _CREATE, place),
            _message(
                _NEW_CHAIN,
                _CREATE,
                place + _text(3, "c") + _attribute(_nested(4), hooked) + _attribute(7, kind + b"\0"),
            ),
            _message(_NEW_RULE, _CREATE | _APPEND, place + _text(2, "c") + _attribute(_nested(4), rule)),
        ]
    )


def _is(header, field, value, how=_EQUALS):
    """Go on only if a field of a header has a value, or has another one."""
    offset, length = field
    payload = [(1, _u32(1)), (2, _u32(header)), (3, _u32(offset)), (4, _u32(length))]
    return _expression("payload", payload), _compare(how, value)


def _compare(how, value):
    return _expression("cmp", [(1, _u32(1)), (2, _u32(how)), (3, _attribute(1, value))])


def _load(register, value):
    return _expression("immediate", [(1, _u32(register)), (2, _attribute(1, value))])


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


def _message(kind, flags, attributes=b"", family=_IPV4, resource=0):
    acknowledge = 0 if kind in {_BATCH_BEGIN, _BATCH_END} else _ACKNOWLEDGE
    body = struct.pack("!BBH", family, 0, resource) + attributes

    def numbered(number):
        return struct.pack("=IHHII", 16 + len(body), kind, 1 | flags | acknowledge, number, 0) + body

    return numbered


def _expression(name, fields):
    data = b"".join(_attribute(kind, value) for kind, value in fields)
    return _text(1, name) + _attribute(_nested(2), data)


def _text(kind, text):
    return _attribute(kind, text.encode() + b"\0")


def _nested(kind):
    return 0x8000 | kind


def _u32(value):
    return struct.pack("!I", value)


def _attribute(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)
