"""Finds the process, port or remote address that causes a finding. Linux only.

In: the findings of one check and its `Snapshot`. Out: the same findings, each with a clause that names the
culprit, and the evidence (`Attribution`).
"""

from network_health.attribution.attributor import Attributor

__all__ = ["Attributor"]
