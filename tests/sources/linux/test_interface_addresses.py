"""Addresses of interfaces and their networks: built and damaged answers."""

import errno
import struct

import pytest

from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.interface_addresses import (
    InterfaceAddress,
    network_of,
    parse_interface_addresses,
)
from tests.sources.linux.messages import attribute, failed, message

OWN, OTHER_END = bytes([10, 1, 2, 3]), bytes([10, 9, 8, 7])
OWN6 = bytes([0xFD]) + bytes(14) + b"\5"


def entry(family, prefix, *attributes):
    return message(20, struct.pack("=BBBBI", family, prefix, 0, 0, 4), *attributes)


def test_addresses_have_the_network_of_their_neighbours():
    """Of a point-to-point link it is that of the other end; other families are left out."""
    datagram = b"".join(
        (
            entry(2, 24, attribute(1, OWN), attribute(2, OWN)),
            entry(2, 32, attribute(1, OTHER_END), attribute(2, OWN)),
            entry(10, 64, attribute(1, OWN6)),
            entry(17, 0),
        )
    )
    found = []
    assert parse_interface_addresses(datagram, found) is False
    assert found == [
        InterfaceAddress(4, OWN, 0x0A0102, 24),
        InterfaceAddress(4, OWN, network_of(OTHER_END, 32), 32),
        InterfaceAddress(4, OWN6, 0xFD << 56, 64),
    ]


@pytest.mark.parametrize(
    ("datagram", "error"),
    [
        (failed(errno.EPERM), OSError),
        (message(20, bytes(4)), KernelFormatError),
        (message(16, bytes(16)), KernelFormatError),
        (entry(2, 24), KernelFormatError),
        (entry(2, 24, attribute(2, OWN6)), KernelFormatError),
        (entry(2, 33, attribute(2, OWN)), KernelFormatError),
        (b"", KernelFormatError),
    ],
)
def test_a_damaged_entry_is_an_error(datagram, error):
    """An answer in an unknown format is never an address."""
    with pytest.raises(error):
        parse_interface_addresses(datagram, [])
