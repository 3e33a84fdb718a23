"""Builds the report of one check.

In: a `Snapshot` and a `Verdict`. Out: a `Report` of JSON types, masked by the setting ``redact``.
"""

from network_health.reporting.redact import redacted
from network_health.reporting.report import (
    Report,
    build_report,
    connection_metrics,
    interface_metrics,
    process_metrics,
)
from network_health.reporting.text import safe_text

__all__ = [
    "Report",
    "build_report",
    "connection_metrics",
    "interface_metrics",
    "process_metrics",
    "redacted",
    "safe_text",
]
