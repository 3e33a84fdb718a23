"""Finds the nodes that receive the reports.

Guarantees: the nodes that have the role are the receivers. If no node has the default role for `SETTLE_S`,
the receivers are the nodes that run the framework's ``forensic_detective``. If no node has the role for
`SETTLE_S`, the log says so, and what to add to the directive; later it says when that changes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from network_health.settings import Settings, shown
from network_health.swarm.framework import Framework
from network_health.swarm.spawn_records import detective_nodes

#: After a boot the framework may not find a role for this long, although a node holds it.
SETTLE_S = 30.0


class Receivers:
    """Args: ``nodes_of_role`` asks the framework; ``comm`` is the swarm's folder of all nodes."""

    def __init__(
        self,
        framework: Framework,
        nodes_of_role: Callable[[str], Mapping[str, str | None]],
        comm: Path,
        warn: Callable[[str], None],
    ) -> None:
        self._framework = framework
        self._nodes_of_role = nodes_of_role
        self._comm = comm
        self._warn = warn
        #: The role that was asked for last, and since when no node holds it.
        self._role = ""
        self._vacant_since_s = 0.0
        #: Each node that had the role, with the handler that it names for it.
        self._named: dict[str, str | None] = {}
        self._is_known = False
        self._logged = ""

    def of(self, role: str, handler: str) -> list[str]:
        """The universal_ids of the receivers that are known now; ``handler`` is the one of the settings."""
        nodes = self._nodes_of_role(role)
        if nodes or role != self._role:
            self._role, self._vacant_since_s = role, time.monotonic()
        self._named.update(nodes)
        self._is_known = bool(nodes) or time.monotonic() - self._vacant_since_s >= SETTLE_S
        if nodes:
            if self._logged:
                self._log(f"The role {shown(role)} now has the nodes {', '.join(nodes)}: reports go there")
                self._logged = ""
            return list(nodes)
        if not self._is_known:
            return []
        detectives = detective_nodes(self._comm) if role == Settings().report_to_role else []
        goes_to = f"go to {', '.join(detectives)}" if detectives else "wait until one has it"
        entry = json.dumps(self._framework.role_entry(role, handler))
        self._log(
            f"No node has the role {shown(role)}; reports {goes_to}. To choose the receiver, "
            f'add to the config of its node: "service-manager": [{{"role": [{entry}]}}]'
        )
        return detectives

    def handler_of(self, node: str, handler: str) -> str | None:
        """The handler for reports to ``node``: the one that it names, else ``handler``, the settings' one.

        ``None`` while that is unknown: a restarted agent has waiting reports before it has found the role.
        """
        if node in self._named or self._is_known or not self._framework.roles_name_handlers:
            return self._named.get(node) or handler
        return None

    def _log(self, message: str) -> None:
        """Log what has changed."""
        if message != self._logged:
            self._logged = message
            self._warn(message)
