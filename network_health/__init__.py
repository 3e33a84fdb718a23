"""network_health: watches a host's network, and names the culprit of each alert.

with Monitor(Settings(conn_threshold=2000)) as monitor:  # takes the first sample
    for report in monitor.checks(10):  # one every 10 seconds
        print(report)  # the page of `network-health check`
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from network_health.monitor import Monitor
    from network_health.reporting import Report
    from network_health.settings import Settings, SettingsError, SettingsOutcome

__all__ = ["Monitor", "Report", "Settings", "SettingsError", "SettingsOutcome", "__version__"]

__version__ = "0.1.0"

_HOMES = {
    "Monitor": "monitor",
    "Report": "reporting",
    "Settings": "settings",
    "SettingsError": "settings",
    "SettingsOutcome": "settings",
}


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> object:
    """Imported on first use: the command must answer Ctrl-C before all this is imported."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
