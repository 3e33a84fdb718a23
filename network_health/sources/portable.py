"""Reads the host with psutil, on any platform and where the kernel denies access to its own interfaces.

See psutil's documentation of ``net_if_stats``, ``net_io_counters``, ``net_connections`` and ``Process``.
Guarantees: names have at most `MAX_NAME` characters. On Linux neither they nor the connections are read with
psutil: it reads a whole command line, which its process can make gigabytes long, and all descriptors. Nor is
the user: psutil takes it from the name of a process that is called so.
"""

from __future__ import annotations

import contextlib
import socket
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import psutil

from network_health.model import (
    Connections,
    CounterReading,
    Counters,
    Link,
    LinkReading,
    ProcessDetails,
    ProcessReading,
    ProcessSample,
    bounded_name,
)

#: psutil's names for the fields of `Counters`, in its order; ``dropin`` includes rx_missed.
_COUNTER_FIELDS = (
    "bytes_sent",
    "bytes_recv",
    "packets_sent",
    "packets_recv",
    "errout",
    "errin",
    "dropout",
    "dropin",
)


def read_links() -> LinkReading:
    """All interfaces, in psutil's order.

    Raises:
        OSError: the system denies access.
    """
    stats = psutil.net_if_stats()
    addresses, indexes = _addresses_and_indexes()
    # nowrap would add the counters of a re-created interface to those of the old one.
    counters = psutil.net_io_counters(pernic=True, nowrap=False)
    at_s = time.monotonic()
    links = []
    for name, stat in stats.items():
        ip = [(a.family, a.address.partition("%")[0]) for a in addresses.get(name, ())]
        io = counters.get(name)
        links.append(
            Link(
                name=bounded_name(name),
                up=stat.isup,
                index=indexes.get(name),
                speed_mbps=stat.speed or None,
                ipv4=tuple(address for family, address in ip if family == socket.AF_INET),
                ipv6=tuple(address for family, address in ip if family == socket.AF_INET6),
                counters=io and _counters(io),
                mtu=stat.mtu,
            )
        )
    return LinkReading(at_s, tuple(links))


def read_counters() -> CounterReading:
    """The counters of all interfaces.

    Raises:
        OSError: the system denies access.
    """
    indexes = {name: index for index, name in socket.if_nameindex()}
    at_s = time.monotonic()
    found = psutil.net_io_counters(pernic=True, nowrap=False)
    until_s = time.monotonic()
    counters = {indexes.get(name, bounded_name(name)): _counters(io) for name, io in found.items()}
    return CounterReading(at_s, until_s, counters)


def _counters(io: object) -> Counters:
    return Counters(*(getattr(io, field) for field in _COUNTER_FIELDS))


def _addresses_and_indexes() -> tuple[Mapping[str, Sequence[Any]], Mapping[str, int]]:
    try:
        return psutil.net_if_addrs(), {name: index for index, name in socket.if_nameindex()}
    except OSError:  # glibc uses netlink for both, and the kernel can deny access
        return {}, {}


def read_connections() -> Connections:
    """The TCP and UDP sockets over IPv4 and IPv6 by state.

    Raises:
        OSError: the system denies access.
        psutil.Error: the system denies access (macOS requires root).
    """
    if sys.platform == "linux":
        from network_health.sources.linux import read_connections_from_proc

        return read_connections_from_proc()
    return Connections(Counter(c.status for c in psutil.net_connections(kind="inet")))


def read_processes() -> ProcessReading:
    """All processes; values without access are ``None``, and a process that has ended is left out.

    Raises:
        OSError: on Linux, ``/proc`` is not mounted.
    """
    if sys.platform == "linux":
        from network_health.sources.linux import require_proc

        require_proc()
    at_s = time.monotonic()
    samples = []
    for process in psutil.process_iter(["pid", "create_time", "cpu_times", "memory_info"]):
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            samples.append(_sample(process.info, _name(process) or ""))
    return ProcessReading(at_s, tuple(samples))


def _sample(info: dict[str, object], name: str) -> ProcessSample:
    cpu, memory = info["cpu_times"], info["memory_info"]
    return ProcessSample(
        pid=int(str(info["pid"])),
        name=name,
        started=float(str(info["create_time"] or 0)),
        cpu_s=cpu.user + cpu.system if cpu else None,  # type: ignore[attr-defined]  # info is untyped
        rss_bytes=memory.rss if memory else None,  # type: ignore[attr-defined]  # info is untyped
    )


def read_process_details(pids: Sequence[int]) -> dict[int, ProcessDetails]:
    """Name, I/O, user and program of each of ``pids``; one that has ended is left out."""
    details = {}
    for pid in pids:
        with contextlib.suppress(psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
            details[pid] = _details(psutil.Process(pid))
    return details


def _details(process: psutil.Process) -> ProcessDetails:
    io = process.as_dict(["io_counters"]).get("io_counters")
    return ProcessDetails(
        name=_name(process),
        read_bytes=io.read_bytes if io else None,
        write_bytes=io.write_bytes if io else None,
        user=_user(process),
        command=_command(process),
    )


def _name(process: psutil.Process) -> str | None:
    try:
        if sys.platform == "linux":
            from network_health.sources.linux import read_name

            return read_name(process.pid)
        return bounded_name(process.name())
    except (psutil.AccessDenied, PermissionError):
        return None


def _user(process: psutil.Process) -> str | None:
    if sys.platform == "linux":
        from network_health.sources.linux import read_user

        return read_user(process.pid)
    try:
        return bounded_name(process.username())
    except psutil.AccessDenied:
        return None


def _command(process: psutil.Process) -> str | None:
    if sys.platform == "linux":
        from network_health.sources.linux import read_command

        return read_command(process.pid)
    try:
        line = process.cmdline()
    except psutil.AccessDenied:
        return None
    return bounded_name(line[0].rpartition("/")[2]) or None if line else None


def boot_id() -> str:
    """An id of the current boot, from the boot time; from the clocks if psutil cannot read that."""
    try:
        return f"boot-{psutil.boot_time():.0f}"
    except (OSError, RuntimeError):  # Linux without /proc/stat
        started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
        # In steps of 10 minutes, because the wall clock is corrected now and then.
        return f"boot-{started // 600 * 600:.0f}"
