"""Compares two readings: what happened on interfaces, processes, protocols. Pure, the runner aside.

In: the readings of `network_health.sources`. Out: rates and counts of a window (`Interface`, `RankedProcess`,
`Protocols`).
"""

from __future__ import annotations

from network_health.collectors.collector import Collector, CollectorRunner
from network_health.collectors.interfaces import (
    ReportedCounters,
    is_excluded,
    observe_interfaces,
    reported_counters,
)
from network_health.collectors.processes import process_candidates, top_processes
from network_health.collectors.protocols import observe_protocols

__all__ = [
    "Collector",
    "CollectorRunner",
    "ReportedCounters",
    "is_excluded",
    "observe_interfaces",
    "observe_protocols",
    "process_candidates",
    "reported_counters",
    "top_processes",
]
