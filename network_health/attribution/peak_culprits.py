"""Adapts the culprits of a rate to a finding about its highest second. Pure.

Guarantees: no process is named for a peak that ended before the sockets were read. Where the shares are those
of a longer time than the peak, the clause says so.
"""

from __future__ import annotations

from network_health.attribution.evidence import Culprits, clause
from network_health.attribution.traffic_window import Window
from network_health.model import Finding

_ENDED = "ended before its connections were read"


def of_peak(finding: Finding, culprits: Culprits, average_mbps: float | None, window: Window) -> Culprits:
    """The culprits of a rate, which were found in ``window``; unchanged if the average is above the limit."""
    text, evidence = culprits
    if average_mbps is None or average_mbps > finding.limit:
        return culprits
    if window.is_sample:
        if evidence["bytes"] * 8 / 1e6 > finding.limit * window.seconds:  # it lasts
            return culprits
        return clause((), _ENDED), evidence | {"processes": [], "note": _ENDED}
    note = f"of all bytes in {window.seconds:.0f} s"
    return (f"{text[:-1]}, {note})" if text else ""), {"note": note} | evidence
