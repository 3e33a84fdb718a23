"""Delivers reports: queue, files, report ids, saved state, schedule.

In: a report's content and its receivers. Out: calls of ``send``, until each receiver has the report.
"""

from network_health.delivery.atomic_file import remove_temporary_files, write_atomically
from network_health.delivery.outbox import Outbox
from network_health.delivery.own_file import NotOwnFile, open_own, read_own
from network_health.delivery.saved_state import MonitorState, SavedState
from network_health.delivery.schedule import Schedule

__all__ = [
    "MonitorState",
    "NotOwnFile",
    "Outbox",
    "SavedState",
    "Schedule",
    "open_own",
    "read_own",
    "remove_temporary_files",
    "write_atomically",
]
