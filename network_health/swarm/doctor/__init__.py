"""Checks a workspace and its host for problems before the swarm is booted.

In: a workspace and the name of a directive. Out: one `Finding` for each test: its result, and a remedy.
"""

from network_health.swarm.doctor.checks import examine

__all__ = ["examine"]
