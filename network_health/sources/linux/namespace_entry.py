"""Runs a function in another network namespace, in a thread of its own; see setns(2).

Guarantees: when the call returns, the thread has ended and the namespace is closed: what is kept open keeps a
container's network alive after its end.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000


def call_in_namespace(pid: int, inode: int, function: Callable[[], T]) -> T:
    """The result of ``function`` in the network namespace ``inode`` that the process ``pid`` lives in.

    Raises:
        OSError: the kernel denies access, or the process has left this namespace or ended.
        Exception: whatever ``function`` raises.
    """

    def work() -> T:
        _enter(pid, inode)
        return function()

    with ThreadPoolExecutor(1) as threads:
        try:
            result = threads.submit(work)
        except RuntimeError as error:  # the system starts no thread
            raise OSError(errno.EAGAIN, str(error)) from error
        return result.result()


def _enter(pid: int, inode: int) -> None:
    """Move the calling thread to the namespace, for good."""
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_ino != inode:
            raise ProcessLookupError(errno.ESRCH, f"process {pid} is in another network namespace now")
        if sys.version_info >= (3, 12):
            os.setns(descriptor, _CLONE_NEWNET)
        elif ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)
