"""Finds out which process, port or peer is behind a finding. Linux only.

In: the findings of one check and its `Snapshot`. Out: the same findings with a clause that names the culprit,
and the evidence for it (`Attribution`).
"""

from __future__ import annotations

from network_health.attribution.attributor import Attributor

__all__ = [
    "Attributor",
]
