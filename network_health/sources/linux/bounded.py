"""Reads files whose size another process controls, for example its command line.

Guarantees: never more than the given number of bytes is read.
"""

from __future__ import annotations

import os
from pathlib import Path


def read_start(path: Path | str, max_bytes: int) -> bytes:
    """The first ``max_bytes`` of the file.

    Raises:
        OSError: access denied, or no such file.
    """
    data = b""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        while len(data) < max_bytes:
            chunk = os.read(descriptor, max_bytes - len(data))
            if not chunk:
                break
            data += chunk
    finally:
        os.close(descriptor)
    return data
