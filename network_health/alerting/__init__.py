"""Applies the limits, and follows findings from check to check. Pure.

In: a `Snapshot` and the `Settings`. Out: the findings of one check (`evaluate`), and what is active, new or
resolved (`step`, which gives a `Verdict`).
"""

from __future__ import annotations

from network_health.alerting.alert_state import AlertState, first_state, step
from network_health.alerting.thresholds import evaluate
from network_health.alerting.verdict import Alert, Ending, Verdict, ending_sentences

__all__ = [
    "Alert",
    "AlertState",
    "Ending",
    "Verdict",
    "ending_sentences",
    "evaluate",
    "first_state",
    "step",
]
