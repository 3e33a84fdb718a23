"""Checks a workspace and its host for problems before the swarm is booted.

In: a workspace and the name of a directive. Out: one `Finding` a line, with what to do.
"""

from __future__ import annotations

from network_health.swarm.doctor.visit import examine

__all__ = [
    "examine",
]
