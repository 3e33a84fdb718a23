"""Finds out why the processes of other users or containers are not visible, from ``/proc/self``.

See proc(5) for ``hidepid``, pid_namespaces(7) and capabilities(7).
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from network_health.sources.linux.bounded import read_start

HIDEPID, PID_NAMESPACE = "hidepid", "pid_namespace"

#: The inode of the host's first PID namespace.
_FIRST_PID_NAMESPACE = 0xEFFFFFFC
_CAP_SYS_PTRACE = 1 << 19
#: Other users can add mounts; ``/proc`` is one of the first.
_MOUNTS_BYTES = 1 << 20
_STATUS_BYTES = 16384
#: The values that remove processes from ``/proc``: numbers before Linux 5.8.
_HIDEPID = re.compile(rb"(?:^|,)hidepid=(?:2|4|invisible|ptraceable)(?:,|$)")
_CAPABILITIES = re.compile(rb"^CapEff:\s*([0-9a-f]+)$", re.MULTILINE)


def read_obstacle() -> str | None:
    """`HIDEPID` or `PID_NAMESPACE` if it hides processes from this one, else ``None``."""
    process = Path("/proc/self")
    try:
        hides = parse_hides(read_start(process / "mountinfo", _MOUNTS_BYTES))
        if hides and not parse_capabilities(read_start(process / "status", _STATUS_BYTES)) & _CAP_SYS_PTRACE:
            return HIDEPID
        return None if os.stat(process / "ns/pid").st_ino == _FIRST_PID_NAMESPACE else PID_NAMESPACE
    except OSError:
        return None


def parse_hides(mounts: bytes) -> bool:
    """Whether ``mountinfo`` says that the uppermost ``/proc`` hides processes."""
    hides = False
    for line in mounts.split(b"\n"):
        mount, _, of_filesystem = line.partition(b" - ")
        words, options = mount.split(b" "), of_filesystem.split(b" ")
        if len(words) > 4 and words[4] == b"/proc" and options[0] == b"proc":
            hides = bool(_HIDEPID.search(options[-1]))
    return hides


def parse_capabilities(status: bytes) -> int:
    """The effective capabilities in ``status``, a bit each; 0 if they are missing."""
    found = _CAPABILITIES.search(status)
    return int(found[1], 16) if found else 0
