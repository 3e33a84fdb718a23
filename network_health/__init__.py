"""network_health: what a host's network is doing, judged, at next to no cost.

monitor = Monitor(Settings.from_mapping({"conn_threshold": 2000}))   # takes the first sample
report = monitor.check()                                             # never raises
report.severity, report.details, report.as_content()
"""

from network_health.monitor import Monitor
from network_health.report import Report
from network_health.settings import Settings, SettingsError, SettingsOutcome

__all__ = ["Monitor", "Report", "Settings", "SettingsError", "SettingsOutcome"]
