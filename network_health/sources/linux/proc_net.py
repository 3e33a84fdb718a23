"""Reads the protocol counters in ``/proc/<thread>/net``: snmp, netstat, snmp6, sockstat and softnet_stat.

See the kernel's snmp_counter.rst. Guarantees: the files are those of the calling thread's network namespace.
A missing file (IPv6 may be off) is an empty text, and has no counters. Every parser raises
`KernelFormatError` for an unknown format.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from network_health.model import SoftnetCounters
from network_health.sources.linux.errors import KernelFormatError

#: The column of the CPU number in softnet_stat. Before Linux 5.10 there is none; the line number serves then.
_CPU_COLUMN = 12


def read_net(name: str) -> str:
    """The text of one file; empty if there is no such file.

    Raises:
        OSError: the kernel denies access.
    """
    try:
        return Path("/proc/thread-self/net", name).read_text("ascii")
    except FileNotFoundError:
        return ""


def parse_tables(text: str) -> Mapping[str, Mapping[str, int]]:
    """Parse snmp and netstat, ``{"Tcp": {"OutSegs": 12}}``: a line of names, then a line of values.

    Names without a line of values (an emulated kernel may have them) are left out.
    """
    names: dict[str, list[str]] = {}
    tables = {}
    for line in text.splitlines():
        protocol, _, rest = line.partition(":")
        if protocol in names:
            tables[protocol] = _pairs("snmp", names[protocol], rest.split())
        else:
            names[protocol] = rest.split()
    return tables


def parse_snmp6(text: str) -> Mapping[str, int]:
    """Parse snmp6, ``{"Udp6RcvbufErrors": 0}``: lines of a name and a value."""
    words = text.split()
    return _pairs("snmp6", words[::2], words[1::2])


def parse_sockstat(text: str) -> Mapping[str, Mapping[str, int]]:
    """Parse sockstat, ``{"TCP": {"orphan": 0, "mem": 3}}``: lines of names and values; ``mem`` is in pages.

    ``inuse`` and ``tw`` are of the namespace; the other values are of the whole host, IPv4 and IPv6 together.
    """
    counts = {}
    for line in text.splitlines():
        protocol, _, rest = line.partition(":")
        words = rest.split()
        counts[protocol] = _pairs("sockstat", words[::2], words[1::2])
    return counts


def parse_softnet(text: str) -> Mapping[int, SoftnetCounters]:
    """Parse softnet_stat by CPU number: a line of hexadecimal columns for each CPU that is online.

    The counters are of the whole host, in every namespace.
    """
    counters = {}
    for number, line in enumerate(text.splitlines()):
        try:
            columns = [int(column, 16) for column in line.split()]
            cpu = columns[_CPU_COLUMN] if len(columns) > _CPU_COLUMN else number
            counters[cpu] = SoftnetCounters(dropped=columns[1], squeezed=columns[2])
        except (ValueError, IndexError) as error:
            raise KernelFormatError(f"/proc/net/softnet_stat: {error} in {line[:80]!r}") from error
    return counters


def _pairs(source: str, names: list[str], values: list[str]) -> dict[str, int]:
    try:
        return dict(zip(names, map(int, values), strict=True))
    except ValueError as error:
        raise KernelFormatError(f"/proc/net/{source}: {error}") from error
