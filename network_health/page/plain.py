"""Converts the overview of a history to JSON types; docs/history.md describes the fields. Pure.

Guarantees: no NaN and no infinity; an unknown value is ``None``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from network_health.page.overview import Overview, Values


def as_plain(found: Overview, *, alerts_only: bool = False) -> dict[str, Any]:
    """The overview; with ``alerts_only`` without interfaces and connections. Times are epoch seconds."""
    plain: dict[str, Any] = {
        "since": found.since,
        "until": found.until,
        "first_at": found.first_at,
        "last_at": found.last_at,
        "interval_s": found.interval_s,
        "gaps": [asdict(gap) for gap in found.gaps],
        "clock_set_back": [{"from": before, "to": after} for before, after in found.set_back],
    }
    if not alerts_only:
        plain["rate_basis"] = found.rate_basis
        plain["interfaces"] = {
            interface.name: {
                **{f"{direction}_mbps": _values(rates) for direction, rates in interface.rates.items()},
                "errors": _values(interface.errors),
                "drops": _values(interface.drops),
            }
            for interface in found.interfaces
        }
        plain["connections"] = {state: _values(values) for state, values in found.connections.items()}
    plain["alerts"] = [asdict(alert) for alert in found.alerts]
    return {name: _finite(part) for name, part in plain.items()}


def _values(values: Values) -> dict[str, Any]:
    return {
        "average": values.average,
        "p95": values.p95,
        "p95_is_exact": values.is_exact,
        "highest": values.highest,
        "highest_at": values.highest_at,
        "limit": values.limit,
        "was_over_limit": values.is_over,
    }


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _finite(part) for name, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value
