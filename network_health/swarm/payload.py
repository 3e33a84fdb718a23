"""The files that go into a workspace: this project's ``agent/`` and ``directives/``.

A wheel carries them in ``network_health/swarm/payload/``; a checkout has them at its top.

Laws: reads only.
"""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from network_health.swarm.errors import SwarmError

DISTRIBUTION = "matrixswarm-network-health"

_HERE = Path(__file__).resolve().parent
#: Where each part of the payload goes in a workspace.
_PLACES = {"agent": "agent", "directives": "boot_directives"}


def payload_root() -> Path:
    """The folder that holds ``agent/`` and ``directives/``.

    Raises:
        SwarmError: this installation lacks them.
    """
    for root in (_HERE / "payload", _HERE.parents[1]):
        if all((root / part).is_dir() for part in _PLACES):
            return root
    raise SwarmError(f"this installation lacks the agent's files: install {DISTRIBUTION} again")


def source() -> str:
    """What to tell pip so that it installs this very distribution: where that came from, or else its name."""
    try:
        came_from = json.loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")["url"]
    except (PackageNotFoundError, OSError, ValueError, KeyError, TypeError):
        return DISTRIBUTION
    path = url2pathname(urlsplit(came_from).path)
    return path if urlsplit(came_from).scheme == "file" and Path(path).exists() else DISTRIBUTION


def payload_files() -> dict[str, bytes]:
    """Content by path relative to the workspace: ``{"agent/network_health/network_health.py": b"…"}``.

    Raises:
        SwarmError: this installation lacks them.
    """
    root = payload_root()
    return {
        f"{place}/{path.relative_to(root / part).as_posix()}": path.read_bytes()
        for part, place in _PLACES.items()
        for path in sorted((root / part).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
