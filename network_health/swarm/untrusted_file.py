"""A file that an operator named, read without trusting that it is one.

Laws: at most `MOST_BYTES` are read and at most `PATIENCE_S` waited, whatever stands at the path: a pipe that
nobody writes to, a terminal, a device without an end.
"""

from __future__ import annotations

import os
import select
import time
from pathlib import Path

from network_health.swarm.errors import SwarmError

MOST_BYTES = 8 << 20
PATIENCE_S = 5.0


def read_bytes(path: Path) -> bytes:
    """The whole content.

    Raises:
        SwarmError: it cannot be read, does not come, or is too large to be meant.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            data = _all_of(descriptor)
        finally:
            os.close(descriptor)
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise SwarmError(f"{path} cannot be read: {reason}") from error
    if len(data) > MOST_BYTES:
        raise SwarmError(f"{path} is larger than {MOST_BYTES >> 20} MiB: that cannot be meant")
    return data


def _all_of(descriptor: int) -> bytes:
    until_s = time.monotonic() + PATIENCE_S
    data = bytearray()
    while len(data) <= MOST_BYTES:
        ready, _, _ = select.select([descriptor], [], [], max(until_s - time.monotonic(), 0))
        if not ready:
            raise TimeoutError(f"it is no regular file, and did not end within {PATIENCE_S:g} s")
        chunk = os.read(descriptor, 1 << 20)
        if not chunk:
            break
        data += chunk
    return bytes(data)
