"""The settings in a file: JSON or TOML of the settings, or a directive with an agent's node.

Laws: no file is executed; whatever it holds, the answer is a block of settings or one `SwarmError`.
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
    """The settings in ``path``, the names of those it has, and a sentence for each mistake in them.

    Raises:
        SwarmError: the file cannot be read, or not said whose settings are meant.
    """
    block = _block(path, universal_id)
    outcome = SettingsOutcome.of(block)
    names = frozenset(map(str, block)) if isinstance(block, Mapping) else frozenset[str]()
    return outcome, names, tuple(f"{path}: {mistake}" for mistake in outcome.errors + outcome.warnings)


def _block(path: Path, universal_id: str | None) -> object:
    if path.suffix == ".py":
        return _of_agent(path, read_directive(path), universal_id)
    data = read_bytes(path)
    content = _parse_toml(path, data) if path.suffix == ".toml" else parse_json(path, data)
    if isinstance(content, dict) and is_directive(content):
        return _of_agent(path, content, universal_id)
    if universal_id is not None:
        raise SwarmError(
            f"{path} is not a directive, so it has no node {universal_id!r}: leave --universal-id out"
        )
    return content


def _of_agent(path: Path, directive: Mapping[Any, Any], universal_id: str | None) -> object:
    agents: dict[str, object] = {}
    for node in nodes(directive):
        if node.agent == AGENT:
            agents.setdefault(node.universal_id, node.config)  # of two the framework takes the first
    named = ", ".join(agents)
    if not agents:
        raise SwarmError(f"{path} has no node that runs {AGENT}")
    if universal_id is None:
        if len(agents) > 1:
            raise SwarmError(
                f"{path} has several nodes that run {AGENT}: choose one of {named} by --universal-id"
            )
        universal_id = next(iter(agents))
    if universal_id not in agents:
        raise SwarmError(f"{path} has no node {universal_id!r} that runs {AGENT}: it has {named}")
    config = agents[universal_id]
    unread = "; ".join(map(str, unread_parts(config)))
    if unread:
        raise SwarmError(
            f"{path}: settings of {universal_id} that only running the file could tell: {unread}"
        )
    return config


def _parse_toml(path: Path, data: bytes) -> object:
    for name in ("tomllib", "tomli"):  # the first is Python's own from 3.11 on
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
        "'matrixswarm-network-health[cli]'`; "
        "or give the settings as JSON"
    )
