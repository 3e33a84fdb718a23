"""Reads limits of the network stack from ``/proc/sys/net``; see the kernel's ip-sysctl.rst.

Guarantees: the values are those of the calling thread's network namespace. A missing file is ``None``: a
module such as connection tracking is not loaded, or a limit of the host is not visible in a namespace. If
``/proc`` is mounted with ``subset=pid``, all are missing.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from network_health.sources.linux.errors import KernelFormatError


def read_numbers(name: str) -> tuple[int, ...] | None:
    """The numbers of one setting, for example ``ipv4/tcp_mem``; at least one.

    Raises:
        OSError: the kernel denies access.
        KernelFormatError: the file has something else than numbers.
    """
    try:
        return parse_numbers(name, Path("/proc/sys/net", name).read_text("ascii"))
    except FileNotFoundError:
        return None


def has_limits() -> bool:
    """Whether the settings are visible at all."""
    return os.path.exists("/proc/sys/net")


def is_forwarding() -> bool:
    """Whether packets for other hosts are forwarded, of IPv4 or IPv6.

    Raises:
        OSError: the kernel denies access, or no setting is visible.
        KernelFormatError: a setting has something else than a number.
    """
    if not has_limits():
        raise FileNotFoundError(errno.ENOENT, "/proc/sys/net does not exist")
    return any((read_numbers(name) or (0,))[0] for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"))


def parse_numbers(name: str, text: str) -> tuple[int, ...]:
    """Parse numbers separated by white space.

    Raises:
        KernelFormatError: ``text`` has something else, or nothing.
    """
    try:
        numbers = tuple(int(word) for word in text.split())
    except ValueError as error:
        raise KernelFormatError(f"/proc/sys/net/{name}: {error}") from error
    if not numbers:
        raise KernelFormatError(f"/proc/sys/net/{name}: empty")
    return numbers
