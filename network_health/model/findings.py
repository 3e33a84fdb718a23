"""Defines the result of one check: its readings, its failures and the limits that were breached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from network_health.model.namespaces import Namespaces
from network_health.model.protocols import Protocols
from network_health.model.readings import Connections, Interface, RankedProcess
from network_health.model.sockets import Attribution


@dataclass(frozen=True, slots=True)
class Failure:
    """A collector that failed: ``Failure("connections", "PermissionError: …")``."""

    collector: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cost:
    """The wall time of a check in milliseconds, and which reader served each collector."""

    total_ms: float
    collectors_ms: Mapping[str, float]
    readers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The readings of one check at ``timestamp`` (epoch seconds); ``None`` where a collector failed."""

    timestamp: float
    interfaces: tuple[Interface, ...] | None
    connections: Connections | None
    top_processes: tuple[RankedProcess, ...] | None
    failures: tuple[Failure, ...]
    cost: Cost
    protocols: Protocols | None = None
    attribution: Attribution | None = None
    namespaces: Namespaces | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A breached limit: the check, its subject, and the sentence for the report.

    ``(check, subject)`` identifies the condition over time: ``("tx_rate", "eth0")``. The subject is an
    interface or ``host``. With ``breached`` false the value is within its limit again, but has not reached
    the level where an alert ends. ``aspect`` separates the conditions that one check can find.
    ``culprit`` is the clause that follows the text: ``" (81% on :8080)"``. It is empty if none is known.
    Many findings of one ``group`` (``veth links``) and aspect share a sentence; it is empty if they do not.
    """

    check: str
    subject: str
    text: str
    value: float
    limit: float
    breached: bool = True
    aspect: str = ""
    culprit: str = ""
    group: str = ""

    @property
    def sentence(self) -> str:
        """The text, followed by the clause about the culprit."""
        return self.text + self.culprit
