"""Compares a snapshot with the limits and tracks alerts from check to check. Pure.

In: a `Snapshot` and the `Settings`. Out: the findings of one check (`evaluate`, `peer_findings`), and which
alerts are active, new or resolved (`step`, which returns a `Verdict`).
"""

from network_health.alerting.alert_state import AlertState, expect_configured_links, initial_state, step
from network_health.alerting.plain_state import from_plain, to_plain
from network_health.alerting.protocol_limits import peer_findings
from network_health.alerting.sentences import finding_sentences, resolved_sentences
from network_health.alerting.thresholds import evaluate
from network_health.alerting.verdict import Alert, ResolvedAlert, Verdict, duration_text

__all__ = [
    "Alert",
    "AlertState",
    "ResolvedAlert",
    "Verdict",
    "duration_text",
    "evaluate",
    "expect_configured_links",
    "finding_sentences",
    "from_plain",
    "initial_state",
    "peer_findings",
    "resolved_sentences",
    "step",
    "to_plain",
]
