"""Defines what finds culprits that the host's own sockets do not explain."""

from __future__ import annotations

from typing import Protocol

from network_health.model import Attribution, Finding, Snapshot
from network_health.settings import Settings

#: Findings with their culprits, and the evidence.
Attributed = tuple[tuple[Finding, ...], Attribution]


class Improver(Protocol):
    """Looks for culprits in other namespaces, or of other hosts; keeps its answers between checks."""

    def improved(
        self, found: Attributed, snapshot: Snapshot, settings: Settings, started_s: float
    ) -> Attributed:
        """``found`` with further culprits, ``found`` itself without. The lookups began at ``started_s``."""
