"""Compares two successive readings. Pure, except for `Collector` and `PeakSamples`, which also make the
readings.

In: the readings of `network_health.sources`. Out: rates and counts since the previous reading (`Interface`,
`RankedProcess`, `Protocols`).
"""

from network_health.collectors.collector import MIN_WINDOW_S, Collector
from network_health.collectors.counters import with_history
from network_health.collectors.interfaces import (
    ReportedCounters,
    is_excluded,
    observe_interfaces,
    reported_counters,
)
from network_health.collectors.ip_traffic import counted_since
from network_health.collectors.namespaces import observe_namespaces
from network_health.collectors.peak_samples import PeakSamples
from network_health.collectors.processes import process_candidates, top_processes
from network_health.collectors.protocols import observe_protocols
from network_health.collectors.snapshots import snapshot_of

__all__ = [
    "MIN_WINDOW_S",
    "Collector",
    "PeakSamples",
    "ReportedCounters",
    "counted_since",
    "is_excluded",
    "observe_interfaces",
    "observe_namespaces",
    "observe_protocols",
    "process_candidates",
    "reported_counters",
    "snapshot_of",
    "top_processes",
    "with_history",
]
