"""Finds out who may have made a network namespace, with ``NS_GET_USERNS``; see ioctl_ns(2).

Any user can make a user namespace, and network namespaces that belong to it. Guarantees: no descriptor of a
namespace stays open.
"""

from __future__ import annotations

import fcntl
import os

_GET_USER_NAMESPACE = 0xB701


def belongs_here(pid: int) -> bool:
    """Whether the network namespace of a process belongs to the user namespace of this process.

    False if that is not known, for want of rights or because the process has ended.
    """
    try:
        namespace = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    except OSError:
        return False
    try:
        owner = fcntl.ioctl(namespace, _GET_USER_NAMESPACE)
    except OSError:  # it belongs to one that is not visible from here
        return False
    finally:
        os.close(namespace)
    try:
        return os.path.samestat(os.fstat(owner), os.stat("/proc/self/ns/user"))
    finally:
        os.close(owner)
