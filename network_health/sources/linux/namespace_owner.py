"""Finds out who may have made a network namespace, with ``NS_GET_USERNS``; see ioctl_ns(2).

Any user can make a user namespace, and network namespaces that belong to it. Guarantees: no descriptor of a
namespace stays open.
"""

from __future__ import annotations

import fcntl
import os
import platform

_GET_USER_NAMESPACE = 0xB701
#: Here the number of a request without an argument has this bit; see the kernel's asm/ioctl.h.
_WITH_A_BIT = ("ppc", "mips", "sparc", "alpha")
_BIT = 1 << 29


def request_number(machine: str) -> int:
    """The number of the request on a machine, as ``uname -m`` names it."""
    return _GET_USER_NAMESPACE | (_BIT if machine.startswith(_WITH_A_BIT) else 0)


def belongs_here(pid: int) -> bool:
    """Whether the network namespace of a process belongs to the user namespace of this process.

    False if that is not known, for want of rights or because the process has ended.
    """
    try:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    except OSError:
        return False
    try:
        owner = fcntl.ioctl(namespace, request_number(platform.machine()))
    except OSError:  # it belongs to one that is not visible from here
        return False
    finally:
        os.close(namespace)
    try:
        return os.path.samestat(os.fstat(owner), os.stat("/proc/self/ns/user"))
    finally:
        os.close(owner)
