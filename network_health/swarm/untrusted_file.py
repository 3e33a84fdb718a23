"""Reads a file that an operator named and that may be anything: a pipe, a terminal or an endless device.

Guarantees: at most `MAX_BYTES` are read, and reading takes at most `TIMEOUT_S`.
"""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

from network_health.swarm.errors import SwarmError

MAX_BYTES = 8 << 20
TIMEOUT_S = 5.0


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
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise SwarmError(f"{path} cannot be read: {reason}") from error
    if len(data) > MAX_BYTES:
        raise SwarmError(f"{path} is larger than {MAX_BYTES >> 20} MiB, the limit")
    return data


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
