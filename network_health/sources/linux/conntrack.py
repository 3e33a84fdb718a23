"""Counts the entries of the connection tracking table by source, from ``/proc/<thread>/net/nf_conntrack``.

Guarantees: the source of an entry is the address that opened the connection, the first ``src=`` of its line.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from network_health.sources.linux import sysctl
from network_health.sources.linux.errors import KernelFormatError

_SOURCE = re.compile(r" src=([0-9a-fA-F:.]+) ")


def read_conntrack_sources() -> Counter[bytes] | None:
    """The number of entries by packed source address; ``None`` if the kernel has no such file.

    Raises:
        OSError: the kernel denies access; it requires root.
        KernelFormatError: the file has an unknown format.
    """
    try:
        with Path("/proc/thread-self/net/nf_conntrack").open(encoding="ascii") as lines:
            return parse_sources(lines)
    except FileNotFoundError:
        return None


def tracks_connections() -> bool:
    """Whether the kernel tracks connections, without which it cannot redirect any; in this namespace.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: the number of entries has an unknown format.
    """
    return bool((sysctl.read_numbers("netfilter/nf_conntrack_count") or (0,))[0])


def parse_sources(lines: Iterable[str]) -> Counter[bytes]:
    """The number of lines by packed source address.

    Raises:
        KernelFormatError: a line has no valid source.
    """
    texts: Counter[str] = Counter()
    for line in lines:
        found = _SOURCE.search(line)
        if not found:
            raise KernelFormatError(f"/proc/net/nf_conntrack: no source in {line[:80]!r}")
        texts[found[1]] += 1
    try:
        return Counter({ipaddress.ip_address(text).packed: count for text, count in texts.items()})
    except ValueError as error:
        raise KernelFormatError(f"/proc/net/nf_conntrack: {error}") from error
