"""What this host and this user let the agent do: rights, kernel interfaces, ``/matrix``.

Rights from ``/proc/self/status``, see capabilities(7). Laws: reads only; what a reader raises is a finding.
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

#: CAP_DAC_READ_SEARCH opens the files of others' processes, CAP_SYS_PTRACE lets them be read: only both do.
_TO_SEE_ALL = 1 << 2 | 1 << 19
#: The sockets of a process that is always there, and is root's.
_FIRST = Path("/proc/1/fd")
#: What each collector needs of the kernel.
_SOURCES = {
    "interfaces": "rtnetlink",
    "connections": "sock_diag",
    "processes": "/proc/<pid>",
    "protocols": "/proc/net and /proc/sys/net",
}


def check_rights(status: Path = Path("/proc/self/status")) -> Finding:
    """Whether everything of other users' processes can be seen by whoever runs this."""
    who = "root" if os.geteuid() == 0 else f"user {os.geteuid()}"
    if sys.platform != "linux":
        return note("rights", f"{who}, not on Linux", "start the swarm as root to see every process")
    if _capabilities(status) & _TO_SEE_ALL == _TO_SEE_ALL:
        if _is_closed(_FIRST):
            return note(
                "rights",
                f"{who} with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, yet {_FIRST} cannot be read: of some "
                "processes the sockets are not seen, so a report may not know the owner of a connection",
                "start the swarm outside of the container, or give that the rights of the host's root",
            )
        return ok(
            "rights", f"{who} with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH: all of every process is seen"
        )
    return note(
        "rights",
        f"{who} without CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH, which only help together: of other users' "
        "processes the I/O and the sockets are not seen, "
        "so a report may not know the owner of a connection; all other figures are complete",
        "start the swarm as root, or give it both (systemd: AmbientCapabilities=CAP_SYS_PTRACE "
        "CAP_DAC_READ_SEARCH)",
    )


def _is_closed(folder: Path) -> bool:
    try:
        for name in os.listdir(folder)[:1]:
            os.readlink(folder / name)
    except PermissionError:
        return True
    except OSError:  # it has just gone
        pass
    return False


def _capabilities(status: Path) -> int:
    try:
        words = status.read_text("ascii").split()
        return int(words[words.index("CapEff:") + 1], 16)
    except (OSError, ValueError, IndexError):  # no such file or line: nothing is known to be allowed
        return 0


def check_kernel() -> Iterator[Finding]:
    """Each collector's reading, tried once: by the kernel's own interface, then by psutil."""
    *own, last = available_readers()
    for collector, source in _SOURCES.items():
        refusals = []
        for way in own:
            refused = _refusal(_reading(way, collector))
            if refused is None:
                yield ok(collector, f"readable by {source}")
                break
            refusals.append(refused)
        else:
            yield _without_kernel(collector, source, refusals, last)


def _without_kernel(collector: str, source: str, refusals: list[str], last: Readers) -> Finding:
    why = f"{source}: {refusals[0]}" if refusals else f"{source} is Linux's"
    if collector == "protocols":
        return note(
            collector, f"{why}; reports come without metrics.protocols", "run the swarm where it can be read"
        )
    refused = _refusal(_reading(last, collector))
    if refused is None:
        return note(
            collector,
            f"{why}; psutil reads it, at more cost",
            "allow it in the container's seccomp profile or the like" if refusals else "nothing",
        )
    return fault(
        collector, f"{why}; psutil: {refused}", "run the swarm as a user, or in a container, that may read it"
    )


def _reading(way: Readers, collector: str) -> Callable[[], object]:
    if collector == "interfaces":
        return way.links
    if collector == "connections":
        return way.connections
    if collector == "processes":
        return way.processes
    protocols = way.protocols
    return (lambda: _counted(protocols(True))) if protocols else (lambda: None)


def _counted(reading: ProtocolReading) -> None:
    """Whether anything was there to be read: a counter that a kernel lacks is no error, all of them are.

    Raises:
        OSError: nothing was.
    """
    if reading.counters == ProtocolCounters():
        raise OSError(errno.ENODATA, "none of the counters is there")


def _refusal(read: Callable[[], object]) -> str | None:
    try:
        read()
    except Exception as error:  # noqa: BLE001 - whatever a reader raises is what the doctor is to tell
        return f"{type(error).__name__}: {error}"
    return None


def check_matrix(root: Path = MATRIX) -> Finding:
    """Whether a swarm can keep its state where every swarm does, by looking alone."""
    do = f"boot as root, or once: sudo install -d -m 0700 -o $USER {root}"
    log = root / "spawn.log"
    if os.path.exists(root):
        for path in (root, log) if os.path.exists(log) else (root,):
            if not os.access(path, os.W_OK | (os.X_OK if path == root else 0)):
                return fault("/matrix", f"{path} cannot be written by this user", do)
        return ok("/matrix", f"{root} can be written")
    if not os.access(root.parent, os.W_OK | os.X_OK):
        return fault("/matrix", f"there is no {root}, and this user cannot make it", do)
    return ok("/matrix", f"there is no {root} yet; the first boot makes it")
