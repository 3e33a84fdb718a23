"""Runs a function in other network namespaces, in a thread each; see setns(2).

Guarantees: when the call returns, the threads have ended and the namespaces are closed: what is kept open
keeps a container's network alive after its end.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000


def call_in_namespace(pid: int, inode: int, function: Callable[[], T]) -> T:
    """The result of ``function`` in the network namespace ``inode`` that the process ``pid`` lives in.

    Raises:
        OSError: the kernel denies access, or the process has left this namespace or ended.
        Exception: whatever ``function`` raises.
    """

    with calls_in_namespaces([(pid, inode, function)]) as (result,):
        return result.result()


@contextmanager
def calls_in_namespaces(calls: Sequence[tuple[int, int, Callable[[], T]]]) -> Iterator[list[Future[T]]]:
    """The results of functions that run at the same time: a pid, a namespace and a function each.

    A result raises what `call_in_namespace` does. The functions have ended when the ``with`` block is left.

    Raises:
        OSError: the system starts no thread.
    """
    with ThreadPoolExecutor(len(calls)) as threads:
        try:
            results = [threads.submit(partial(_call, *each)) for each in calls]
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, str(error)) from error
        yield results


def _call(pid: int, inode: int, function: Callable[[], T]) -> T:
    _enter(pid, inode)
    return function()


def _enter(pid: int, inode: int) -> None:
    """Move the calling thread to the namespace, for good."""
    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    try:
        if os.fstat(descriptor).st_ino != inode:
            raise ProcessLookupError(errno.ESRCH, f"process {pid} is in another network namespace now")
        _setns(descriptor)
    except PermissionError as error:
        reason = f"{error.strerror} (setns needs CAP_SYS_ADMIN, and seccomp must allow it)"
        raise PermissionError(error.errno, reason) from None
    finally:
        os.close(descriptor)


def _setns(descriptor: int) -> None:
    if sys.version_info >= (3, 12):
        os.setns(descriptor, _CLONE_NEWNET)
    elif ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
