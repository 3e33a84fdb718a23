"""Knows the two frameworks that the agent runs in: MatrixSwarm, and its successor MatrixOS.

MatrixSwarm is the package ``matrixswarm``. MatrixOS is the folder ``/matrix``, and in no registry. Both set
``SITE_ROOT`` for the agents that they start, and only MatrixOS has a ``core/python_core`` there. Which of the
two can be imported does not decide: an environment may have ``matrixswarm``, and run MatrixOS.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

#: What only MatrixOS has below its root.
CORE = Path("core", "python_core")


@dataclass(frozen=True, slots=True)
class Framework:
    """What differs between the frameworks.

    ``agents`` is the folder of the agents' sources in a workspace. ``beacon`` are the arguments of
    ``check_for_thread_poke`` for the worker. With ``roles_name_handlers`` a node declares ``role@handler``,
    and a role without a handler is ignored.
    """

    name: str
    agents: str
    roles_name_handlers: bool
    beacon: Mapping[str, int] = field(default_factory=dict)

    @property
    def agent_folder(self) -> str:
        """The folder of this project's agent in a workspace."""
        return f"{self.agents}/network_health"

    @property
    def shadow(self) -> str:
        """A file of the framework's own agent; it would hide the library, which has the same name."""
        return f"{self.agent_folder}/__init__.py"

    def receivers(self, found: Iterable[Any]) -> dict[str, str | None]:
        """The handler of each node by its universal_id; ``None`` if the node does not name it.

        Args:
            found: the result of the framework's ``get_nodes_by_role``: nodes as dicts, or endpoints.
        """
        if not self.roles_name_handlers:
            return {node["universal_id"]: None for node in found}
        handlers: dict[str, str | None] = {}
        for endpoint in found:  # a node has one for each of its roles that match
            handlers.setdefault(endpoint.get_universal_id(), endpoint.get_handler())
        return handlers

    def role_entry(self, role: str, handler: str) -> str:
        """How a node declares that ``handler`` of it serves a role."""
        return f"{role}@{handler}" if self.roles_name_handlers else role


MATRIXSWARM = Framework("MatrixSwarm", "agent", roles_name_handlers=False)
#: Its agents are started again when a beacon is older than its timeout, in seconds; 0 is never.
MATRIXOS = Framework("MatrixOS", "agents/python_core", roles_name_handlers=True, beacon={"timeout": 60})


def framework_at(root: Path) -> Framework:
    """The framework whose ``SITE_ROOT``, or whose workspace, is ``root``."""
    return MATRIXOS if (root / CORE).is_dir() else MATRIXSWARM


def framework_folder() -> Path | None:
    """The folder of MatrixSwarm's package, which is not imported; ``None`` if it is not installed."""
    package = importlib.util.find_spec("matrixswarm")
    folders = package.submodule_search_locations if package else None
    return Path(folders[0]) if folders else None
