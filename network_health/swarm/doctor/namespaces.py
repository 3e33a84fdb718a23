"""Checks whether reports can name processes in other network namespaces, as those of containers.

Rights are read from ``/proc/self/status``; see capabilities(7) and setns(2).

Guarantees: only a thread that ends at once enters a namespace, which is the one that it is in.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from network_health.swarm.doctor.finding import Finding, note, ok
from network_health.swarm.doctor.host import read_capabilities

#: The bit of each capability; without the second one, other users' namespaces cannot even be counted.
_NEEDED = {"CAP_SYS_ADMIN": 21, "CAP_SYS_PTRACE": 19, "CAP_DAC_READ_SEARCH": 2}
_NOT_COUNTED = "connections in containers of other users are not counted, and a report names no process there"
_NOT_NAMED = "connections in containers are counted, but a report names no process there"
_GIVE = (
    "start the swarm as root, or give it all three (systemd: AmbientCapabilities=CAP_SYS_ADMIN "
    "CAP_SYS_PTRACE CAP_DAC_READ_SEARCH; the first one is nearly as much as root)"
)


def check_namespaces(status: Path = Path("/proc/self/status")) -> Finding:
    """Whether connections in containers are counted, and whether processes there are named."""
    if sys.platform != "linux":
        return note("containers", "not on Linux: other network namespaces are not read", "nothing")
    held = read_capabilities(status)
    missing = [name for name, bit in _NEEDED.items() if not held >> bit & 1]
    if missing:
        says = _NOT_COUNTED if "CAP_SYS_PTRACE" in missing else _NOT_NAMED
        return note("containers", f"without {_listed(missing)}: {says}", _GIVE)
    return _tried()


def _tried() -> Finding:
    from network_health.sources import linux  # needs what only Linux has

    if linux.read_obstacle() == linux.PID_NAMESPACE:
        says = "in a pid namespace: containers whose processes are outside of it are not counted, or named"
        return note("containers", says, "run the swarm in the pid namespace of the host, for all containers")
    try:
        inode = os.stat("/proc/self/ns/net").st_ino
        linux.call_in_namespace(os.getpid(), inode, lambda: None)
    except OSError as error:
        do = "allow setns(2), for example in the seccomp profile of the container"
        return note("containers", f"{_NOT_NAMED}: {error}", do)
    return ok("containers", "other network namespaces can be entered: a report names the processes there")


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]
