"""Keeps the checks and alerts of an agent in a file of SQLite, and reads them.

In: the `Report` of each check. Out: alerts, metrics over time, and the checks as alerting takes them.
"""

from network_health.history.file_access import FILE_NAME, history_path
from network_health.history.history import History
from network_health.history.kept import HistoryError, KeptAlert, KeptCheck, KeptSettings, Series
from network_health.history.recorder import Recorder
from network_health.history.store import Store

__all__ = [
    "FILE_NAME",
    "History",
    "HistoryError",
    "KeptAlert",
    "KeptCheck",
    "KeptSettings",
    "Recorder",
    "Series",
    "Store",
    "history_path",
]
