"""Counts connections by state, from ``/proc/net``: tcp, tcp6, udp and udp6; see proc_pid_net(5).

Used where the kernel denies ``NETLINK_SOCK_DIAG``. psutil would read all descriptors of all processes too.
Guarantees: the files are those of the calling thread's network namespace, and one line at a time is kept.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from network_health.model import Connections
from network_health.sources.linux.errors import KernelFormatError
from network_health.sources.linux.inet_diag import state_of

_STATE = 3  # the column of the state, in hexadecimal
_SYN_RECV, _NEW_SYN_RECV = 3, 12


def read_connections_from_proc() -> Connections:
    """The TCP and UDP sockets by state. A missing file (IPv6 may be off) has no sockets.

    Raises:
        OSError: the kernel denies access, or ``/proc`` is not mounted.
        KernelFormatError: a line has an unknown format.
    """
    folder = Path("/proc/thread-self/net")
    counts: Counter[str] = Counter()
    for name in ("tcp", "tcp6", "udp", "udp6"):
        path = folder / name
        if name.endswith("6") and not path.exists():
            continue
        with path.open(encoding="ascii") as lines:
            next(lines, None)  # the names of the columns
            counts.update(parse_state(name.rstrip("6"), line) for line in lines)
    return Connections(counts)


def parse_state(protocol: str, line: str) -> str:
    """The state of the socket of one line; ``NONE`` for a UDP socket.

    Raises:
        KernelFormatError: the line has no known state.
    """
    try:
        number = int(line.split(maxsplit=_STATE + 1)[_STATE], 16)
    except (ValueError, IndexError) as error:
        raise KernelFormatError(f"/proc/net/{protocol}: {error} in {line[:80]!r}") from error
    return state_of(_SYN_RECV if number == _NEW_SYN_RECV else number, protocol)
