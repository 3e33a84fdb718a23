"""Reads which interfaces have a default route, from ``/proc/<thread>/net/route`` and ``ipv6_route``.

See proc_net_route(5). Only the first interface of a route with several is listed there.

Guarantees: at most 64 KiB of each file are read. The kernel lists default routes first, so they are found in
a table of any size.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from network_health.sources.linux.bounded import read_start

_MAX_BYTES = 65536
_RTF_REJECT = 0x200
#: The columns of (destination, mask or prefix length, flags, interface), and the values of a default route.
_IPV4 = (1, 7, 3, 0), (b"00000000", b"00000000")
_IPV6 = (0, 1, 8, 9), (b"0" * 32, b"00")


def read_default_routes() -> frozenset[str]:
    """The names of the interfaces with a default route, in the calling thread's network namespace.

    Raises:
        OSError: the kernel denies access.
        ValueError: a file has an unknown format.
    """
    names = set(parse_default_routes(_read("route"), *_IPV4))
    return frozenset(names.union(parse_default_routes(_read("ipv6_route"), *_IPV6)))


def parse_default_routes(
    table: bytes, columns: tuple[int, int, int, int], default: tuple[bytes, bytes]
) -> Iterator[str]:
    """The interfaces of the default routes in one file; routes that reject packets are left out."""
    destination, mask, flags, name = columns
    for line in table.rpartition(b"\n")[0].splitlines():  # the last line may be cut
        words = line.split()
        if len(words) <= max(columns):
            raise ValueError(f"a route of {len(words)} columns")
        if (words[destination], words[mask]) == default and not int(words[flags], 16) & _RTF_REJECT:
            yield os.fsdecode(words[name])


def _read(name: str) -> bytes:
    try:
        return read_start(Path("/proc/thread-self/net", name), _MAX_BYTES)
    except FileNotFoundError:  # IPv6 may be off
        return b""
