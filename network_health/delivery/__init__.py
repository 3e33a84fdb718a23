"""Delivers reports: queue, files, report ids, saved counters, schedule.

In: a report's content and its receivers. Out: calls of ``send``, until each receiver has the report.
"""

from network_health.delivery.outbox import Outbox
from network_health.delivery.saved_counters import SavedCounters
from network_health.delivery.schedule import Schedule

__all__ = ["Outbox", "SavedCounters", "Schedule"]
