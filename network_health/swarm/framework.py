"""Finds the framework's package, without importing it."""

from __future__ import annotations

import importlib.util
from pathlib import Path


def framework_folder() -> Path | None:
    """The folder of the framework's package; ``None`` if it is not installed."""
    package = importlib.util.find_spec("matrixswarm")
    folders = package.submodule_search_locations if package else None
    return Path(folders[0]) if folders else None
