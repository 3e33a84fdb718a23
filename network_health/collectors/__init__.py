"""Compares two successive readings. Pure, except for `Collector`, which also makes the readings.

In: the readings of `network_health.sources`. Out: rates and counts since the previous reading (`Interface`,
`RankedProcess`, `Protocols`).
"""

from network_health.collectors.collector import Collector
from network_health.collectors.counters import with_history
from network_health.collectors.interfaces import (
    ReportedCounters,
    is_excluded,
    observe_interfaces,
    reported_counters,
)
from network_health.collectors.ip_traffic import counted_since
from network_health.collectors.namespaces import observe_namespaces
from network_health.collectors.peaks import Peaks
from network_health.collectors.processes import process_candidates, top_processes
from network_health.collectors.protocols import observe_protocols

__all__ = [
    "Collector",
    "Peaks",
    "ReportedCounters",
    "counted_since",
    "is_excluded",
    "observe_interfaces",
    "observe_namespaces",
    "observe_protocols",
    "process_candidates",
    "reported_counters",
    "top_processes",
    "with_history",
]
