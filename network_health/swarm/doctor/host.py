"""Checks what the agent may do on this host: rights, kernel interfaces and ``/matrix``.

Rights are read from ``/proc/self/status``; see capabilities(7).

Guarantees: nothing is changed. An error of a reader is a finding.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from network_health.model import ProtocolCounters, ProtocolReading
from network_health.sources import Readers, available_readers
from network_health.swarm.doctor.finding import Finding, fault, note, ok
from network_health.swarm.matrix_root import MATRIX

#: CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE: both are needed to read the files of other users' processes.
_BOTH_CAPABILITIES = 1 << 2 | 1 << 19
#: The descriptors of a process that always exists and belongs to root.
_INIT_DESCRIPTORS = Path("/proc/1/fd")
#: The kernel interface that each collector reads.
_SOURCES = {
    "interfaces": "rtnetlink",
    "connections": "sock_diag",
    "processes": "/proc/<pid>",
    "protocols": "/proc/net",
}


def check_rights(status: Path = Path("/proc/self/status")) -> Finding:
    """Whether this user can read everything of other users' processes."""
    who = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    if sys.platform != "linux":
        return note("rights", f"{who}, not on Linux", "start the swarm as root to see every process")
    if read_capabilities(status) & _BOTH_CAPABILITIES == _BOTH_CAPABILITIES:
        if _is_closed(_INIT_DESCRIPTORS):
            return note(
                "rights",
                f"{who} with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, but {_INIT_DESCRIPTORS} cannot be read: "
                "the sockets of some processes are hidden, so a report may not name a connection's owner",
                "start the swarm outside of the container, or give that the rights of root on the host",
            )
        return ok("rights", f"{who} with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: every process can be read")
    return note(
        "rights",
        f"{who} without both of CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: the I/O and the sockets of other "
        "users' processes are hidden, so a report may not name the owner of a connection; all other metrics "
        "are complete",
        "start the swarm as root, or give it both (systemd: AmbientCapabilities=CAP_SYS_PTRACE "
        "CAP_DAC_READ_SEARCH)",
    )


def _is_closed(folder: Path) -> bool:
    try:
        for name in os.listdir(folder)[:1]:
            os.readlink(folder / name)
    except PermissionError:
        return True
    except OSError:  # the process has just closed it
        pass
    return False


def read_capabilities(status: Path) -> int:
    """The effective capabilities in ``status``, a bit each; none if it cannot be read."""
    try:
        words = status.read_text("ascii").split()
        return int(words[words.index("CapEff:") + 1], 16)
    except (OSError, ValueError, IndexError):  # no such file or line
        return 0


def check_kernel() -> Iterator[Finding]:
    """Reads once for each collector: from the kernel's own interface, then with psutil."""
    *kernel_readers, portable = available_readers()
    for collector, source in _SOURCES.items():
        refusals = []
        for reader in kernel_readers:
            refused = _refusal(_reading(reader, collector))
            if refused is None:
                yield ok(collector, f"can be read from {source}")
                break
            refusals.append(refused)
        else:
            yield _without_kernel(collector, source, refusals, portable)
    if sys.platform == "linux" and not _has_limits():
        says = (
            "/proc/sys/net is not visible: connection tracking, orphans, TCP memory and ephemeral ports are "
            "not monitored"
        )
        yield note("limits", says, "mount /proc without subset=pid where the swarm runs")


def _has_limits() -> bool:
    from network_health.sources import linux  # needs what only Linux has

    return linux.has_limits()


def _without_kernel(collector: str, source: str, refusals: list[str], portable: Readers) -> Finding:
    why = f"{source}: {refusals[0]}" if refusals else f"{source} exists only on Linux"
    if collector == "protocols":
        says = f"{why}; reports will have no metrics.protocols"
        return note(collector, says, "run the swarm where it can be read")
    refused = _refusal(_reading(portable, collector))
    if refused is None:
        return note(
            collector,
            f"{why}; psutil is used instead, which costs more CPU",
            "allow it, for example in the seccomp profile of the container" if refusals else "nothing",
        )
    return fault(
        collector, f"{why}; psutil: {refused}", "run the swarm as a user, or in a container, that may read it"
    )


def _reading(reader: Readers, collector: str) -> Callable[[], object]:
    readings: dict[str, Callable[[], object]] = {
        "interfaces": reader.links,
        "connections": reader.connections,
        "processes": reader.processes,
        "protocols": lambda: reader.protocols and _with_counters(reader.protocols(True)),
    }
    return readings[collector]


def _with_counters(reading: ProtocolReading) -> ProtocolReading:
    if reading.counters == ProtocolCounters():  # a kernel may lack some counters, but not all
        raise OSError(errno.ENODATA, "no counter exists")
    return reading


def _refusal(read: Callable[[], object]) -> str | None:
    try:
        read()
    except Exception as error:  # noqa: BLE001 - the doctor reports whatever a reader raises
        return f"{type(error).__name__}: {error}"
    return None


def check_matrix(root: Path = MATRIX) -> Finding:
    """Whether a swarm can keep its state in ``/matrix``; nothing is created."""
    do = f"boot as root, or once: sudo install -d -m 0700 -o $USER {root}"
    log = root / "spawn.log"
    if os.path.exists(root):
        for path in (root, log) if os.path.exists(log) else (root,):
            if not os.access(path, os.W_OK | (os.X_OK if path == root else 0)):
                return fault("/matrix", f"{path} cannot be written by this user", do)
        return ok("/matrix", f"{root} can be written")
    if not os.access(root.parent, os.W_OK | os.X_OK):
        return fault("/matrix", f"{root} does not exist, and this user cannot create it", do)
    return ok("/matrix", f"{root} does not exist yet; the first boot creates it")
