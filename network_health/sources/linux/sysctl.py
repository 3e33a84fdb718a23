"""Limits of the network stack from ``/proc/sys/net``; see the kernel's ip-sysctl.rst.

Laws: reads are of the calling thread's network namespace. What is not there (connection tracking
that is not loaded, a host-wide limit seen from another namespace) is ``None``.
"""

from __future__ import annotations

from pathlib import Path

from network_health.sources.linux.errors import KernelFormatError


def read_numbers(name: str) -> tuple[int, ...] | None:
    """The numbers of one setting, like ``ipv4/tcp_mem``; at least one.

    Raises:
        OSError: the kernel refuses.
        KernelFormatError: what it answers is not numbers.
    """
    try:
        return parse_numbers(name, Path("/proc/sys/net", name).read_text("ascii"))
    except FileNotFoundError:
        return None


def parse_numbers(name: str, text: str) -> tuple[int, ...]:
    """Numbers with white space between them.

    Raises:
        KernelFormatError: that is not what ``text`` is.
    """
    try:
        numbers = tuple(int(word) for word in text.split())
    except ValueError as error:
        raise KernelFormatError(f"/proc/sys/net/{name}: {error}") from error
    if not numbers:
        raise KernelFormatError(f"/proc/sys/net/{name}: empty")
    return numbers
