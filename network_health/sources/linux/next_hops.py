"""Reads to which hardware address packets go, from ``NETLINK_ROUTE``; see rtnetlink(7) and neighbour.h.

The same as ``ip neigh get``. Guarantees: what the kernel does not know is unknown.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Collection
from typing import TypeVar

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.netlink import attribute
from network_health.sources.linux.routes import Route

T = TypeVar("T")

_NETLINK_ROUTE = 0
NEWNEIGH, GETNEIGH = 28, 30
NEIGHBOUR = struct.Struct("=BxxxiHBB")  # ndmsg: family, index, state, flags, type
_NDA_DST, NDA_LLADDR = 1, 2
_UNANSWERED = (0x01, 0x20)  # NUD_INCOMPLETE, NUD_FAILED
_FAMILIES = {4: int(socket.AF_INET), 16: int(socket.AF_INET6)}
#: Errors that say that the kernel knows no such entry, or cannot look up a single one (before Linux 5.0).
_UNKNOWN = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.ENODEV)


def read_hardware_addresses(hops: Collection[Route]) -> dict[Route, bytes]:
    """The hardware address of the next hop of each route; without those that are unknown.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    found = _read(hops, parse_address)
    return {hop: address for hop, address in found.items() if address}


def read_unanswered(hops: Collection[Route]) -> set[Route]:
    """The routes whose next hop did not answer: the kernel drops what is sent to it.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: its answer has an unknown format.
    """
    found = _read(hops, parse_state)
    return {hop for hop, state in found.items() if state in _UNANSWERED}


def parse_address(datagram: bytes) -> bytes:
    """The hardware address of one neighbour; empty if it is not resolved.

    Raises:
        OSError: there is no such neighbour.
        KernelFormatError: the answer has an unknown format.
    """
    start, end = _entry(datagram)
    return netlink.attributes(datagram, start + NEIGHBOUR.size, end, {NDA_LLADDR}).get(NDA_LLADDR, b"")


def parse_state(datagram: bytes) -> int:
    """The state of one neighbour.

    Raises:
        OSError, KernelFormatError: as `parse_address`.
    """
    state: int = NEIGHBOUR.unpack_from(datagram, _entry(datagram)[0])[2]
    return state


def _entry(datagram: bytes) -> tuple[int, int]:
    """Where the entry begins and ends."""
    kind, start, end = next(netlink.messages(datagram))
    if kind != NEWNEIGH or end - start < NEIGHBOUR.size:
        raise KernelFormatError(f"rtnetlink: a message of kind {kind} and {end - start} bytes")
    return start, end


def _read(hops: Collection[Route], parse: Callable[[bytes], T]) -> dict[Route, T]:
    """What is known about each next hop."""
    found = {}
    with netlink.exchange(_NETLINK_ROUTE) as ask:
        for hop in hops:
            family = _FAMILIES[len(hop.next_hop)]
            body = NEIGHBOUR.pack(family, hop.device, 0, 0, 0) + attribute(_NDA_DST, hop.next_hop)
            try:
                found[hop] = parse(ask(GETNEIGH, body))
            except OSError as error:
                if error.errno not in _UNKNOWN:
                    raise
    return found
