"""Gives memory that is free again back to the kernel; see malloc_trim(3).

After a large listing glibc keeps several MB: its threshold for giving memory back grows with the largest
block that was freed.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc


def release_memory() -> None:
    """Give back what is free; it takes a few ms. A C library without malloc_trim(3) keeps it.

    So does a statically linked Python, which cannot call it.
    """
    gc.collect()
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
