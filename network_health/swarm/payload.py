"""Finds this project's files that are no code of the library: ``agent/``, ``directives/``, ``docs/fleet/``.

A wheel has them in ``network_health/swarm/payload/``, a checkout at its top level.

Guarantees: reads only.
"""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from network_health.settings import Settings
from network_health.swarm.directive import Directive, read_directive
from network_health.swarm.errors import SwarmError
from network_health.swarm.framework import MATRIXOS, MATRIXSWARM, Framework

DISTRIBUTION = "matrixswarm-network-health"
#: The files for many hosts, below `payload_root`, by the name that `fleet_files` gives them.
FLEET_FILES = {
    "rules": "docs/fleet/rules.yml",
    "rules-test": "docs/fleet/rules_test.yml",
    "dashboard": "docs/fleet/dashboard.json",
    "provisioning": "docs/fleet/provisioning.yml",
    "directive": "directives/network_health_recommended.py",
}

_HERE = Path(__file__).resolve().parent
_PARTS = ("agent", "directives")
#: Where the directives go in a workspace.
_DIRECTIVES = "boot_directives"


def payload_root() -> Path:
    """The folder that holds ``agent/``, ``directives/`` and ``docs/fleet/``.

    Raises:
        SwarmError: this installation does not have them.
    """
    for root in (_HERE / "payload", _HERE.parents[1]):
        if all((root / part).is_dir() for part in _PARTS):
            return root
    raise SwarmError(f"this installation does not have the agent's files: install {DISTRIBUTION} again")


def fleet_files() -> dict[str, Path]:
    """The path of each of `FLEET_FILES`.

    Raises:
        SwarmError: this installation does not have them.
    """
    root = payload_root()
    return {name: root / path for name, path in FLEET_FILES.items()}


def source() -> str:
    """The argument for ``pip install`` that installs this distribution again: its local path, or its name."""
    try:
        url = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")["url"]
    except (PackageNotFoundError, OSError, ValueError, KeyError, TypeError):
        return DISTRIBUTION
    path = url2pathname(urlsplit(url).path)
    return path if urlsplit(url).scheme == "file" and Path(path).exists() else DISTRIBUTION


def framework_source() -> str:
    """As `source`, quoted for a shell, with the extra that installs MatrixSwarm."""
    return shlex.quote(f"{source()}[swarm]")


def payload_files(framework: Framework = MATRIXSWARM) -> dict[str, bytes]:
    """Content by path relative to the workspace: ``{"agent/network_health/network_health.py": b"…"}``.

    Raises:
        SwarmError: this installation does not have them.
    """
    root = payload_root()
    files = {
        f"{framework.agents}/{path.relative_to(root / 'agent').as_posix()}": path.read_bytes()
        for path in _files_below(root / "agent")
    }
    for path in _files_below(root / "directives"):
        if framework is MATRIXOS:  # it boots JSON only
            files[f"{_DIRECTIVES}/{path.stem}.json"] = _for_matrixos(read_directive(path))
        else:
            files[f"{_DIRECTIVES}/{path.name}"] = path.read_bytes()
    return files


def _files_below(folder: Path) -> list[Path]:
    paths = sorted(folder.rglob("*"))
    return [path for path in paths if path.is_file() and "__pycache__" not in path.parts]


def _for_matrixos(directive: Directive) -> bytes:
    """The JSON of one of this project's directives, whose roles get the handler of the settings."""
    handler = Settings().report_handler
    for node in directive["children"]:
        for service in node.get("config", {}).get("service-manager", ()):
            service["role"] = [MATRIXOS.role_entry(role, handler) for role in service["role"]]
    return json.dumps(directive, indent=2).encode() + b"\n"
