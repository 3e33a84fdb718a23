"""Checks whether the setting ``bpf`` would work: attaches the programs, and detaches them at once.

Guarantees: nothing is left of them.
"""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from network_health.swarm.doctor.finding import Finding, note, ok

_BTF = Path("/sys/kernel/btf/vmlinux")
_LOCKDOWN = Path("/sys/kernel/security/lockdown")


def check_bpf() -> Finding:
    """Whether bytes of UDP and other sockets can be counted by process."""
    if sys.platform != "linux":
        return note("bpf", "not on Linux: a report names no process for UDP", "nothing")
    from network_health.sources.linux import CallCounter  # needs what only Linux has

    try:
        CallCounter().close()
    except (OSError, ValueError) as error:
        says = f'"bpf": true would not work, so a report names no process for UDP: {error}'
        return note("bpf", says + _lockdown(), _remedy(error))
    return ok("bpf", 'with "bpf": true, a report also names the process of a high rate of UDP')


def _remedy(error: Exception) -> str:
    if isinstance(error, PermissionError):
        return (
            "start the swarm as root, or give it both rights "
            "(systemd: AmbientCapabilities=CAP_BPF CAP_PERFMON)"
        )
    if isinstance(error, OSError) and error.errno == errno.EOPNOTSUPP:
        return "use a 64-bit Python on x86, ARM, RISC-V or LoongArch, if you need it"
    if not _BTF.exists():
        return "use a kernel with BTF (CONFIG_DEBUG_INFO_BTF)"
    return "use Linux 6.3 or later, if you need it"


def _lockdown() -> str:
    """The mode of the kernel's lockdown, if it has one; ``none`` has no effect."""
    try:
        mode = _LOCKDOWN.read_text("ascii").partition("[")[2].partition("]")[0]
    except (OSError, ValueError):
        return ""
    return f" (the kernel's lockdown is in the mode {mode})" if mode not in ("", "none") else ""
