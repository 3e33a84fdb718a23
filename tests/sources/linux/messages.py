"""Builds netlink messages and attributes as the kernel sends them."""

import struct

from network_health.sources.linux import netlink


def attribute(kind, value):
    """One attribute, padded."""
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def u32(kind, value):
    """An attribute with a number of 32 bits."""
    return attribute(kind, struct.pack("=I", value))


def message(kind, body, *attributes):
    """One message with a body and attributes."""
    data = body + b"".join(attributes)
    return netlink.HEADER.pack(16 + len(data), kind, 2, 1, 0) + data


def failed(number):
    """The answer that says that a request failed with this error number."""
    return netlink.HEADER.pack(36, 2, 0, 1, 0) + struct.pack("=i", -number) + bytes(16)


DONE = netlink.HEADER.pack(20, netlink.DONE, 2, 1, 0) + bytes(4)
