"""Keeps the checks and alerts of an agent in a file of SQLite, and reads them.

In: the `Report` of each check. Out: alerts, metrics over time, the checks as alerting takes them, and limits
that would have fitted.
"""

from network_health.history.advice import Advice, TooLittleHistory, advise
from network_health.history.alert_replay import REPLAYED, ReplayedAlert, replayed
from network_health.history.file_access import FILE_NAME, history_path
from network_health.history.history import History
from network_health.history.kept import HistoryError, KeptAlert, KeptCheck, KeptSettings, Series
from network_health.history.normal import Coverage, Normal
from network_health.history.recorder import Recorder
from network_health.history.store import Store
from network_health.history.suggestions import Suggestion

__all__ = [
    "FILE_NAME",
    "REPLAYED",
    "Advice",
    "Coverage",
    "History",
    "HistoryError",
    "KeptAlert",
    "KeptCheck",
    "KeptSettings",
    "Normal",
    "Recorder",
    "ReplayedAlert",
    "Series",
    "Store",
    "Suggestion",
    "TooLittleHistory",
    "advise",
    "history_path",
    "replayed",
]
