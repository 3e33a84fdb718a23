"""Reads the ids that the kernel uses for other network namespaces, with ``RTM_GETNSID``; see net_namespace.h.

Guarantees: no descriptor of a namespace stays open, because it would keep a namespace that has ended. A
namespace without an id, or one that has ended, is left out.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Mapping

from network_health.sources.linux import netlink
from network_health.sources.linux.errors import KernelFormatError

_NETLINK_ROUTE = 0
_NEWNSID, _GETNSID = 88, 90
_FAMILY = bytes(4)  # rtgenmsg, padded
_NSID, _PID, _DESCRIPTOR = 1, 2, 3  # NETNSA_NSID, NETNSA_PID, NETNSA_FD
_NUMBER = struct.Struct("=i")

#: The pid of a process in the namespace, or the path that opens it.
Place = int | str


def read_namespace_ids(places: Mapping[int, Place]) -> dict[int, int]:
    """The id of each namespace, by the key that it has in ``places``.

    Raises:
        OSError: the kernel denies access to this source.
        KernelFormatError: its answer has an unknown format.
    """
    found = {}
    with netlink.exchange(_NETLINK_ROUTE) as ask:
        for key, place in places.items():
            try:
                number = _ask(ask, place)
            except TimeoutError:
                raise
            except OSError:  # the process or the namespace has ended
                continue
            if number is not None:
                found[key] = number
    return found


def parse_namespace_id(datagram: bytes) -> int | None:
    """The id in the answer; ``None`` if the kernel has given none.

    Raises:
        OSError: the kernel reports an error.
        KernelFormatError: the answer has an unknown format.
    """
    kind, start, end = next(netlink.messages(datagram))
    if kind != _NEWNSID or end - start < len(_FAMILY):
        raise KernelFormatError(f"rtnetlink: an answer of kind {kind} to a question for a namespace id")
    value = netlink.attributes(datagram, start + len(_FAMILY), end, (_NSID,)).get(_NSID, b"")
    if len(value) != _NUMBER.size:
        raise KernelFormatError(f"rtnetlink: a namespace id of {len(value)} bytes")
    number: int = _NUMBER.unpack(value)[0]
    return number if number >= 0 else None


def _ask(ask: Callable[[int, bytes], bytes], place: Place) -> int | None:
    if isinstance(place, int):
        return parse_namespace_id(ask(_GETNSID, _FAMILY + netlink.attribute(_PID, _NUMBER.pack(place))))
    descriptor = os.open(place, os.O_RDONLY)
    try:
        body = _FAMILY + netlink.attribute(_DESCRIPTOR, _NUMBER.pack(descriptor))
        return parse_namespace_id(ask(_GETNSID, body))
    finally:
        os.close(descriptor)
