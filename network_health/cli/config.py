"""Reads the settings in a file: JSON or TOML of the settings, or a directive with a node of this agent.

Guarantees: no file is executed. Whatever it contains, the result is settings or one `SwarmError`.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from network_health.settings import SettingsOutcome
from network_health.swarm import (
    AGENT,
    SwarmError,
    is_directive,
    nodes,
    parse_json,
    read_bytes,
    read_directive,
    unread_parts,
)


def read_config(
    path: Path, universal_id: str | None
) -> tuple[SettingsOutcome, frozenset[str], tuple[str, ...]]:
    """The settings in ``path``, the names of those it contains, and a sentence for each error in them.

    Raises:
        SwarmError: the file cannot be read, or it is not clear which node's settings are meant.
    """
    config = _config(path, universal_id)
    outcome = SettingsOutcome.of(config)
    names = frozenset(map(str, config)) if isinstance(config, Mapping) else frozenset[str]()
    return outcome, names, tuple(f"{path}: {error}" for error in outcome.errors + outcome.warnings)


def _config(path: Path, universal_id: str | None) -> object:
    if path.suffix == ".py":
        return _node_config(path, read_directive(path), universal_id)
    data = read_bytes(path)
    content = _parse_toml(path, data) if path.suffix == ".toml" else parse_json(path, data)
    if isinstance(content, dict) and is_directive(content):
        return _node_config(path, content, universal_id)
    if universal_id is not None:
        raise SwarmError(
            f"{path} is not a directive, so it has no node {universal_id!r}: leave --universal-id out"
        )
    return content


def _node_config(path: Path, directive: Mapping[Any, Any], universal_id: str | None) -> object:
    configs: dict[str, object] = {}
    for node in nodes(directive):
        if node.agent == AGENT:
            # Of two nodes with one id the framework takes the first.
            configs.setdefault(node.universal_id, node.config)
    ids = ", ".join(configs)
    if not configs:
        raise SwarmError(f"{path} has no node that runs {AGENT}")
    if universal_id is None and len(configs) > 1:
        raise SwarmError(
            f"{path} has several nodes that run {AGENT}: choose one of {ids} with --universal-id"
        )
    universal_id = universal_id or next(iter(configs))
    if universal_id not in configs:
        raise SwarmError(f"{path} has no node {universal_id!r} that runs {AGENT}: it has {ids}")
    config = configs[universal_id]
    unread = "; ".join(map(str, unread_parts(config)))
    if unread:
        raise SwarmError(f"{path}: settings of {universal_id} cannot be read without running it: {unread}")
    return config


def _parse_toml(path: Path, data: bytes) -> object:
    for name in ("tomllib", "tomli"):  # tomllib is in Python from 3.11 on
        try:
            toml = importlib.import_module(name)
        except ImportError:
            continue
        try:
            return toml.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            reason = "it is nested too deeply" if isinstance(error, RecursionError) else error
            raise SwarmError(f"{path} is not TOML: {reason}") from error
    raise SwarmError(
        f"{path}: TOML needs Python 3.11, or `{sys.executable} -m pip install "
        "'matrixswarm-network-health[cli]'`; or give the settings as JSON"
    )
