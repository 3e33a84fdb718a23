"""Which readers serve a check: the kernel's own first, then psutil.

Law: the order is tried anew in every check, so that a kernel that refused once is asked again.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from network_health import portable
from network_health.evidence import Inquiry
from network_health.model import (
    Connections,
    Finding,
    LinkReading,
    ProcessDetails,
    ProcessReading,
    ProtocolReading,
    Snapshot,
)
from network_health.settings import Settings

__all__ = ["PORTABLE", "Answer", "Inquired", "Inquirer", "Readers", "available", "first_answer"]

T = TypeVar("T")


#: The findings with their culprits, and the evidence; ``None`` where nothing was asked.
Inquired = tuple[tuple[Finding, ...], Inquiry] | None


class Inquirer(Protocol):
    """Finds out who is behind findings; see `network_health.inquiry`."""

    def examine(self, findings: Sequence[Finding], snapshot: Snapshot, settings: Settings) -> Inquired:
        """The findings of one check with their culprits. May raise `OSError` and `ValueError`."""


@dataclass(frozen=True, slots=True)
class Readers:
    """One way of reading everything; each function is documented in `network_health.portable`."""

    name: str
    links: Callable[[], LinkReading]
    connections: Callable[[], Connections]
    processes: Callable[[], ProcessReading]
    process_details: Callable[[Sequence[int]], dict[int, ProcessDetails]]
    #: Told whether to count ephemeral ports too; ``None`` where the system has no such figures.
    protocols: Callable[[bool], ProtocolReading] | None = None
    #: Makes one that finds out who is behind a finding; ``None`` where the system does not tell.
    inquirer: Callable[[], Inquirer] | None = None


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A reading, and whose: samples of different readers are not comparable."""

    value: T
    reader: str


PORTABLE = Readers(
    name="psutil",
    links=portable.read_links,
    connections=portable.read_connections,
    processes=portable.read_processes,
    process_details=portable.read_process_details,
)


def first_answer(ways: Sequence[Readers], read: Callable[[Readers], T]) -> Answer[T]:
    """Ask ``ways`` in order.

    Raises:
        Exception: what the last of them raised; a refusal (`OSError`, `ValueError`) of an earlier one
            only means that the next is asked.
    """
    for way in ways[:-1]:
        try:
            return Answer(read(way), way.name)
        except (OSError, ValueError):
            continue
    return Answer(read(ways[-1]), ways[-1].name)


def available() -> tuple[Readers, ...]:
    """The ways of reading that this system has, the cheapest first.

    Each call gives readers of its own: those of the kernel remember what they read last.
    """
    return (_kernel(), PORTABLE) if sys.platform == "linux" else (PORTABLE,)


def _kernel() -> Readers:
    # Imported where it is used: these modules need what only Linux has.
    from network_health.inquiry import Inquirer
    from network_health.linux.procfs import ProcessReader, read_process_details
    from network_health.linux.protocols import read_protocols
    from network_health.linux.rtnetlink import LinkReader
    from network_health.linux.sock_diag import read_connections

    return Readers(
        name="kernel",
        links=LinkReader().read,
        connections=read_connections,
        processes=ProcessReader().read,
        process_details=read_process_details,
        protocols=read_protocols,
        inquirer=Inquirer,
    )
