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
    if framework.roles_name_handlers:
        return next(filter(None, _named_handlers(node, role)), None)
    patterns = _patterns(role)
    names = [name.strip() for entry in _entries(node) for name in entry.split(",")]
    return default if any(fnmatch(name, pattern) for name in names for pattern in patterns) else None


def lacks_handler(node: Node, role: str, framework: Framework) -> bool:
    """Whether the node has the role, but the framework ignores that, as no handler is named."""
    if not framework.roles_name_handlers:
        return False
    handlers = list(_named_handlers(node, role))
    return bool(handlers) and not any(handlers)


def _named_handlers(node: Node, role: str) -> Iterator[str]:
    """The handler in each matching ``role@handler`` of the node; empty if none is named."""
    for entry in _entries(node):
        name, _, handler = (part.strip() for part in entry.partition("@"))
        if any(fnmatch(name.lower(), pattern.lower()) for pattern in _patterns(role)):
            yield handler


def _patterns(role: str) -> list[str]:
    return [pattern.strip() for pattern in role.split(",") if pattern.strip()]


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
