"""Defines the readings of other network namespaces.

Guarantees: values are immutable. ``None`` is unknown, ``0`` is measured.
"""

# `Namespace` is a named tuple for the same reason as `Counters` in `readings`.

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Namespace(NamedTuple):
    """Another network namespace that processes live in, at one moment.

    ``pid`` and ``process`` (its name) are of its lowest pid, and so are ``container``, ``pod`` (a uid of
    Kubernetes) and ``unit``. A user chose these names if ``manager`` is not ``None``: the uid of the user
    whose service manager has the cgroup. ``mounted`` is the name that a user gave to the namespace. ``tcp``
    and ``udp`` are the numbers of sockets, without half-open connections; ``tcp`` includes TIME_WAIT.

    Unless it ``belongs_here``, to the user namespace of the reading process, any user can have made it.
    ``kernel_id`` is the id that the kernel uses for it in this namespace. ``veths`` are the interfaces of
    this namespace that lead to it. ``label`` names it in sentences, and is of no other namespace.
    """

    inode: int
    pid: int
    process: str | None = None
    container: str | None = None
    pod: str | None = None
    unit: str | None = None
    mounted: str | None = None
    tcp: int | None = None
    udp: int | None = None
    manager: int | None = None
    belongs_here: bool = True
    kernel_id: int | None = None
    veths: tuple[str, ...] = ()
    label: str = ""

    @property
    def total(self) -> int | None:
        """The number of TCP and UDP sockets."""
        return None if self.tcp is None or self.udp is None else self.tcp + self.udp


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The other network namespaces at one moment.

    ``hidden_processes`` is the number of processes whose namespace is not known, for want of rights.
    ``obstacle`` is ``hidepid`` or ``pid_namespace`` if that hides an unknown number of other processes.
    ``failure`` is the reason why none could be read. If not ``is_whole``, some are missing.
    """

    entries: tuple[Namespace, ...] = ()
    hidden_processes: int = 0
    failure: str = ""
    is_whole: bool = True
    obstacle: str | None = None
