"""The value types of one check: what was seen, what failed, what breached a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from network_health.model.readings import Connections, Interface, Protocols, RankedProcess
from network_health.model.sockets import Attribution


@dataclass(frozen=True, slots=True)
class Failure:
    """A collector that could not answer: ``Failure("connections", "PermissionError: …")``."""

    collector: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cost:
    """What a check took, in milliseconds of wall time, and which reader served each collector."""

    total_ms: float
    collectors_ms: Mapping[str, float]
    readers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one check saw, at ``timestamp`` (epoch). A failed collector leaves ``None`` and a `Failure`."""

    timestamp: float
    interfaces: tuple[Interface, ...] | None
    connections: Connections | None
    top_processes: tuple[RankedProcess, ...] | None
    failures: tuple[Failure, ...]
    cost: Cost
    protocols: Protocols | None = None
    attribution: Attribution | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A breached limit: which check, on what, and the sentence for the report.

    ``(check, subject)`` identifies the condition over time, ``("tx_rate", "eth0")`` for example; a subject
    that is no interface is ``host``. With ``breached`` false the value is within its limit again, but not
    yet at the level where an alert ends. ``aspect`` tells the conditions apart that one check can find.
    ``culprit`` says who is behind it, ready to follow the text: ``" (81% on :8080)"``, or is empty.
    """

    check: str
    subject: str
    text: str
    value: float
    limit: float
    breached: bool = True
    aspect: str = ""
    culprit: str = ""

    @property
    def sentence(self) -> str:
        """The text, and who is behind it where that is known."""
        return self.text + self.culprit
