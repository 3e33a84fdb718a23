"""network_health: watches a host's network, and names the culprit of each alert.

monitor = Monitor(Settings.from_mapping({"conn_threshold": 2000}))   # takes the first sample
report = monitor.check()                                             # never raises
report.severity, report.details, report.as_content()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from network_health.monitor import Monitor
    from network_health.reporting import Report
    from network_health.settings import Settings, SettingsError, SettingsOutcome

__all__ = ["Monitor", "Report", "Settings", "SettingsError", "SettingsOutcome"]

_HOMES = {
    "Monitor": "monitor",
    "Report": "reporting",
    "Settings": "settings",
    "SettingsError": "settings",
    "SettingsOutcome": "settings",
}


def __getattr__(name: str) -> object:
    """Imported on first use: the command must answer Ctrl-C before all this is imported."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
