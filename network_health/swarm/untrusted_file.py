"""Reads a file that an operator named and that may be anything: a pipe, a terminal or an endless device.

Guarantees: at most `MAX_BYTES` are read, and reading takes at most `TIMEOUT_S`.
"""

from __future__ import annotations

import os
import select
import stat
import time
from pathlib import Path

from network_health.swarm.errors import SwarmError

MAX_BYTES = 8 << 20
TIMEOUT_S = 5.0


def read_regular_file(path: Path) -> bytes:
    """The whole content of a regular file; a pipe or a device is not opened.

    Raises:
        SwarmError: it is no regular file, cannot be read, or is larger than `MAX_BYTES`.
    """
    try:
        is_regular = stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if not is_regular:
        raise SwarmError(f"{path} is not a regular file")
    return read_bytes(path)


def read_bytes(path: Path) -> bytes:
    """The whole content.

    Raises:
        SwarmError: it cannot be read within `TIMEOUT_S`, or is larger than `MAX_BYTES`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            data = _read_all(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error) from error
    if len(data) > MAX_BYTES:
        raise SwarmError(f"{path} is larger than {MAX_BYTES >> 20} MiB, the limit")
    return data


def _unreadable(path: Path, error: OSError | ValueError) -> SwarmError:
    reason = (isinstance(error, OSError) and error.strerror) or error
    return SwarmError(f"{path} cannot be read: {reason}")


def _read_all(descriptor: int) -> bytes:
    until_s = time.monotonic() + TIMEOUT_S
    data = bytearray()
    while len(data) <= MAX_BYTES:
        ready, _, _ = select.select([descriptor], [], [], max(until_s - time.monotonic(), 0))
        if not ready:
            raise TimeoutError(f"it is not a regular file, and did not end within {TIMEOUT_S:g} s")
        chunk = os.read(descriptor, 1 << 20)
        if not chunk:
            break
        data += chunk
    return bytes(data)
