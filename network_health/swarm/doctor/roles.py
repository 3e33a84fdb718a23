"""Finds which nodes of a directive have a role.

As in ``get_nodes_by_role`` and ``get_service_managers`` of the framework.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from typing import Any

from network_health.swarm.directive import Node, unread_parts
from network_health.swarm.framework import Framework

SERVICES = "service-manager"


def has_role(node: Node, role: str, framework: Framework) -> bool:
    """Whether the node gets what is sent to ``role``."""
    return handler_of(node, role, framework, "default") is not None


def handler_of(node: Node, role: str, framework: Framework, default: str) -> str | None:
    """The handler for what the node gets as ``role``; ``None`` if it does not have the role.

    ``default`` is the handler of a node that does not name one.
    """
    patterns = [pattern.strip() for pattern in role.split(",") if pattern.strip()]
    for entry in _entries(node):
        if framework.roles_name_handlers:
            name, _, handler = (part.strip() for part in entry.partition("@"))
            if handler and any(fnmatch(name.lower(), pattern.lower()) for pattern in patterns):
                return handler
        elif any(fnmatch(name.strip(), pattern) for name in entry.split(",") for pattern in patterns):
            return default
    return None


def lacks_handler(node: Node, role: str, framework: Framework) -> bool:
    """Whether the node has the role, but the framework ignores that, as no handler is named."""
    return framework.roles_name_handlers and role in _entries(node) and not has_role(node, role, framework)


def known_config(config: object) -> Mapping[Any, Any]:
    """The parts of a config that are known without running the directive."""
    if not isinstance(config, Mapping):
        return {}
    return {key: value for key, value in config.items() if not unread_parts(value)}


def _entries(node: Node) -> Iterator[str]:
    for service in _listed(known_config(node.config).get(SERVICES)):
        entries = _listed(service.get("role")) if isinstance(service, Mapping) else []
        yield from (entry for entry in entries if isinstance(entry, str))


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
