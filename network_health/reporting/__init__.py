"""Builds the report of one check, and formats text for a terminal.

In: a `Snapshot` and a `Verdict`. Out: a `Report` of JSON types, masked by the setting ``redact``; its
page of text, and lines of text.
"""

from network_health.reporting.builder import (
    build_report,
    connection_metrics,
    interface_metrics,
    process_metrics,
)
from network_health.reporting.check_text import text_page
from network_health.reporting.limited_metrics import (
    Content,
    Metric,
    compared_rate,
    connection_states,
    host_metrics,
    link_metrics,
    link_totals,
    worst_first,
)
from network_health.reporting.protocol_limits import PROTOCOL_LIMITS
from network_health.reporting.redact import masked, redacted
from network_health.reporting.report import Report
from network_health.reporting.sparkline import ASCII_LEVELS, BLOCK_LEVELS, SparkCell, sparkline
from network_health.reporting.terminal import (
    BOLD,
    DIM,
    GREEN,
    RED,
    YELLOW,
    Cell,
    Painter,
    cell_width,
    inline,
    outline,
    printable,
    table,
)
from network_health.reporting.text import safe_text

__all__ = [
    "ASCII_LEVELS",
    "BLOCK_LEVELS",
    "BOLD",
    "DIM",
    "GREEN",
    "PROTOCOL_LIMITS",
    "RED",
    "YELLOW",
    "Cell",
    "Content",
    "Metric",
    "Painter",
    "Report",
    "SparkCell",
    "build_report",
    "cell_width",
    "compared_rate",
    "connection_metrics",
    "connection_states",
    "host_metrics",
    "inline",
    "interface_metrics",
    "link_metrics",
    "link_totals",
    "masked",
    "outline",
    "printable",
    "process_metrics",
    "redacted",
    "safe_text",
    "sparkline",
    "table",
    "text_page",
    "worst_first",
]
