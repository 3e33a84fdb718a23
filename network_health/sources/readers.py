"""Selects the readers of a check: the kernel's own first, then psutil.

Guarantees: every check tries all readers in this order, also those that failed before.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from network_health.model import (
    Connections,
    CounterReading,
    LinkReading,
    Namespaces,
    ProcessDetails,
    ProcessReading,
    ProtocolReading,
)
from network_health.sources import portable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Readers:
    """The functions that read a host; each is documented in `network_health.sources.portable`."""

    name: str
    links: Callable[[], LinkReading]
    connections: Callable[[], Connections]
    processes: Callable[[], ProcessReading]
    process_details: Callable[[Sequence[int]], dict[int, ProcessDetails]]
    #: The argument adds ephemeral ports; ``None`` if the system has no protocol counters.
    protocols: Callable[[bool], ProtocolReading] | None = None
    #: The counters of the interfaces alone; ``None`` if they cannot be read alone.
    counters: Callable[[], CounterReading] | None = None
    #: ``None`` if the system has no network namespaces.
    namespaces: Callable[[], Namespaces] | None = None
    #: The names of the interfaces with a default route; ``None`` if they cannot be read.
    default_routes: Callable[[], frozenset[str]] | None = None
    #: Close what is open from one reading to the next; the next reading opens it again.
    close: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """A reading with the name of its reader. Readings of different readers are not comparable."""

    value: T
    reader: str


PORTABLE = Readers(
    name="psutil",
    links=portable.read_links,
    connections=portable.read_connections,
    processes=portable.read_processes,
    process_details=portable.read_process_details,
    counters=portable.read_counters,
)


def first_answer(readers: Sequence[Readers], read: Callable[[Readers], T]) -> Answer[T]:
    """The answer of the first of ``readers`` that does not raise `OSError` or `ValueError`.

    Raises:
        Exception: the error of the last reader.
    """
    for reader in readers[:-1]:
        try:
            return Answer(read(reader), reader.name)
        except (OSError, ValueError):
            continue
    return Answer(read(readers[-1]), readers[-1].name)


def available_readers() -> tuple[Readers, ...]:
    """New readers for this system, the cheapest first. The kernel's readers cache their last reading."""
    return (_kernel(), PORTABLE) if sys.platform == "linux" else (PORTABLE,)


def boot_id() -> str:
    """An id of the current boot."""
    if sys.platform == "linux":
        from network_health.sources.linux import read_boot_id

        try:
            return read_boot_id()
        except (OSError, ValueError):
            pass
    return portable.boot_id()


def _kernel() -> Readers:
    from network_health.sources import linux  # imported here, because it needs Linux

    links, counters = linux.LinkReader(), linux.CounterReader()

    def close() -> None:
        links.close()
        counters.close()

    return Readers(
        name="kernel",
        links=links.read,
        connections=linux.read_connections,
        processes=linux.ProcessReader().read,
        process_details=linux.read_process_details,
        protocols=linux.read_protocols,
        counters=counters.read,
        namespaces=linux.NamespaceReader().read,
        default_routes=linux.read_default_routes,
        close=close,
    )
