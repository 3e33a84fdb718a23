"""Who fills the connection tracking table, from ``/proc/<thread>/net/nf_conntrack``.

Law: the source of an entry is who opened the connection, the first ``src=`` of its line.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from network_health.sources.linux.errors import KernelFormatError

_SOURCE = re.compile(r" src=([0-9a-fA-F:.]+) ")


def read_conntrack_sources() -> Counter[bytes] | None:
    """Entries by packed source address; ``None`` where this kernel does not list them.

    Raises:
        OSError: the kernel refuses: it wants root.
        KernelFormatError: what it answers cannot be read.
    """
    try:
        with Path("/proc/thread-self/net/nf_conntrack").open(encoding="ascii") as lines:
            return parse_sources(lines)
    except FileNotFoundError:
        return None


def parse_sources(lines: Iterable[str]) -> Counter[bytes]:
    """The same of the file's lines.

    Raises:
        KernelFormatError: a line has no source.
    """
    texts: Counter[str] = Counter()
    for line in lines:
        found = _SOURCE.search(line)
        if not found:
            raise KernelFormatError(f"/proc/net/nf_conntrack: no source in {line[:80]!r}")
        texts[found[1]] += 1
    return Counter({_packed(text): count for text, count in texts.items()})


def _packed(text: str) -> bytes:
    try:
        return ipaddress.ip_address(text).packed
    except ValueError as error:
        raise KernelFormatError(f"/proc/net/nf_conntrack: {error}") from error
