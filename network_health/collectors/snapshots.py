"""Puts the outcomes of all collectors of a check together. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from network_health.model import Cost, Interface, Snapshot
from network_health.sources import Outcome


def snapshot_of(
    timestamp: float,
    interfaces: tuple[Interface, ...] | None,
    outcomes: Mapping[str, Outcome[Any]],
    total_ms: float,
) -> Snapshot:
    """The snapshot of a check; ``outcomes`` by the name of the collector, ``interfaces`` with their peaks."""
    values = {name: outcome.value for name, outcome in outcomes.items()}
    return Snapshot(
        timestamp=timestamp,
        interfaces=interfaces,
        connections=values["connections"],
        top_processes=values["processes"],
        failures=tuple(outcome.failure for outcome in outcomes.values() if outcome.failure),
        cost=Cost(
            total_ms=total_ms,
            collectors_ms={name: outcome.ms for name, outcome in outcomes.items()},
            readers={name: outcome.reader for name, outcome in outcomes.items() if outcome.reader},
        ),
        protocols=values.get("protocols"),
        namespaces=values.get("namespaces"),
    )
