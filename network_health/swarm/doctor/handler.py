"""Checks whether a node has the handler for the agent's reports, without running its agent.

The handlers of a node are the functions that its agent's source defines, the modules in its agent's
``factory``, and the methods of the framework's own class. With MatrixOS, only the functions and methods whose
name begins with ``cmd_``.
"""

from __future__ import annotations

from pathlib import Path

from network_health.swarm.directive import Node
from network_health.swarm.doctor.agent_source import agents_folder, source_of
from network_health.swarm.doctor.finding import Finding, fault, ok
from network_health.swarm.errors import SwarmError
from network_health.swarm.framework import CORE, MATRIXOS, framework_at, framework_folder
from network_health.swarm.python_source import functions
from network_health.swarm.untrusted_file import read_regular_file

_COMMAND = "cmd_"


def check_handler(node: Node, handler: str, workspace: Path) -> Finding:
    """Whether ``node``, which receives the reports, has ``handler``."""
    framework, folder = framework_at(workspace), agents_folder(workspace) / node.agent
    source = folder / f"{node.agent}.py"
    factory = folder / "factory" / handler.split(".")[-1]
    try:
        known = functions(source, source_of(node, workspace))
        known_elsewhere = handler in _inherited(workspace)
        if framework is MATRIXOS:
            known = {name for name in known if name.startswith(_COMMAND)}
            known_elsewhere &= handler.startswith(_COMMAND)
        elif not known_elsewhere:
            known_elsewhere = factory.is_dir() or factory.with_suffix(".py").exists()
    except (SwarmError, OSError, ValueError) as error:
        return _unreadable(node, folder, error)
    receiver = f"{node.universal_id} ({node.agent})"
    if handler in known or known_elsewhere:
        return ok("handler", f"{receiver} receives the reports and has the handler {handler}")
    commands = ", ".join(sorted(name for name in known if name.startswith(_COMMAND))) or "none"
    setting = "the handler of its role" if framework.roles_name_handlers else "report_handler"
    do = f"set {setting} to one that it has ({commands}), or give the role to another node"
    return fault("handler", f"{receiver} has no handler {handler}: it drops every report", do)


def _unreadable(node: Node, folder: Path, error: Exception) -> Finding:
    says = f"the source of {node.universal_id} cannot be read: {error}"
    if isinstance(error, PermissionError) or isinstance(error.__cause__, PermissionError):
        return fault("handler", says, "run this as the user that boots the swarm")
    return fault("handler", says, f"put the agent {node.agent} into {folder.parent}")


def _inherited(workspace: Path) -> set[str]:
    """The handlers of every agent: the methods of the framework's own class."""
    if framework_at(workspace) is MATRIXOS:
        path = workspace / CORE / "boot_agent.py"
    else:
        package = framework_folder()
        if package is None:
            return set()
        path = package / "core" / "boot_agent.py"
    return functions(path, read_regular_file(path))
