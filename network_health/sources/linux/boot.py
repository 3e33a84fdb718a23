"""Reads the kernel's boot id from ``/proc/sys/kernel/random/boot_id``; see random(4)."""

from __future__ import annotations

import re
from pathlib import Path

_PATH = Path("/proc/sys/kernel/random/boot_id")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read_boot_id() -> str:
    """The UUID of the current boot.

    Raises:
        OSError: the file cannot be read.
        ValueError: its content is not a UUID.
    """
    text = _PATH.read_text(encoding="ascii").strip()
    if not _UUID.fullmatch(text):
        raise ValueError(f"{_PATH}: not a boot id: {text[:40]!r}")
    return text
