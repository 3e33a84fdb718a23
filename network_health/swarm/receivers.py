"""Finds the nodes that receive the reports.

Guarantees: the nodes that hold the role are the receivers. Only while no node holds the default role, and
after `SETTLE_S`, these are the nodes that run the framework's ``forensic_detective``; that is logged once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from network_health.settings import Settings
from network_health.swarm.spawn_records import detective_nodes

#: After a boot the framework may not find a role for this long, although a node holds it.
SETTLE_S = 30.0


class Receivers:
    """Args: ``nodes_of_role`` asks the framework; ``comm`` is the swarm's folder of all nodes."""

    def __init__(
        self, nodes_of_role: Callable[[str], Sequence[str]], comm: Path, warn: Callable[[str], None]
    ) -> None:
        self._nodes_of_role = nodes_of_role
        self._comm = comm
        self._warn = warn
        self._started_s = time.monotonic()
        self._logged: set[str] = set()

    def of(self, role: str) -> list[str]:
        """The universal_ids of the receivers that are known now."""
        nodes = list(self._nodes_of_role(role))
        has_settled = time.monotonic() - self._started_s >= SETTLE_S
        if nodes or role != Settings().report_to_role or not has_settled:
            return nodes
        detectives = detective_nodes(self._comm)
        if detectives:
            self._warn_once(
                f"No node holds the role {role!r}; reports go to {', '.join(detectives)}. To choose the "
                f'receiver, add to the config of its node: "service-manager": [{{"role": ["{role}"]}}]'
            )
        return detectives

    def _warn_once(self, message: str) -> None:
        if message not in self._logged:
            self._logged.add(message)
            self._warn(message)
