"""The report of one check, as a value, as the content of a packet and as text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from network_health.alerting import Alert, ResolvedAlert
from network_health.model import Connections, Cost, Failure, Interface, Namespaces, Protocols, RankedProcess
from network_health.reporting.check_text import text_page
from network_health.reporting.terminal import Painter, printable
from network_health.settings import Settings

SOURCE_AGENT = "NetworkHealthMonitor"
SERVICE_NAME = "system.network"
#: The details of many findings are cut after so many characters in a ``repr``.
_REPR_DETAILS = 160


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Report:
    """One report, compared and hashed by identity. ``timestamp`` is epoch seconds; ``metrics`` is JSON-safe.

    ``str`` is the page of text that ``network-health check`` prints; ``repr`` is one line.

    ``due`` says whether the report is to be sent; ``changes`` has one sentence for the log for each change
    since the previous check. Neither is part of the content.

    The attributes from ``interfaces`` on are what ``metrics`` is made of, with their types; ``None`` where a
    collector failed. ``alerts`` are the active ones, ``resolved`` those that were until this check, and
    ``culprits`` is the evidence by check. What the setting ``redact`` masks is masked in them, too.
    ``settings`` has the limits of the check.
    """

    status: str
    severity: str
    details: str
    metrics: Mapping[str, Any]
    timestamp: float
    due: bool = True
    changes: tuple[str, ...] = ()
    interfaces: tuple[Interface, ...] | None = None
    connections: Connections | None = None
    processes: tuple[RankedProcess, ...] | None = None
    protocols: Protocols | None = None
    namespaces: Namespaces | None = None
    alerts: tuple[Alert, ...] = ()
    resolved: tuple[ResolvedAlert, ...] = ()
    culprits: Mapping[str, Any] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()
    cost: Cost | None = None
    settings: Settings = field(default_factory=Settings)

    def __str__(self) -> str:
        return text_page(self.as_content(), self.settings, Painter(on=False))

    def __repr__(self) -> str:
        clock = datetime.fromtimestamp(self.timestamp, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        details = printable(self.details)
        if len(details) > _REPR_DETAILS:
            details = f"{details[: _REPR_DETAILS - 1]}…"
        return f"<Report {self.severity} {self.status} {clock}: {details}>"

    def as_content(self) -> dict[str, Any]:
        """The ``content`` of the packet, with the reference's names."""
        return {
            "source_agent": SOURCE_AGENT,
            "service_name": SERVICE_NAME,
            "status": self.status,
            "details": self.details,
            "severity": self.severity,
            "metrics": dict(self.metrics),
            "timestamp": self.timestamp,
        }
