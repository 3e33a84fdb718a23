"""Watches the agent's ``config/`` folder, which the framework reads between calls of ``worker``."""

from __future__ import annotations

import os
from pathlib import Path


class ConfigFolder:
    """The agent's config folder."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen_ns: int | None = None

    def has_new_packet(self) -> bool:
        """Whether a packet came since the last call."""
        arrived_ns = self._arrived_ns()
        if arrived_ns is None or arrived_ns == self._seen_ns:
            return False
        self._seen_ns = arrived_ns
        return True

    def _arrived_ns(self) -> int | None:
        """When the folder last changed; ``None`` if there is no packet in it."""
        try:
            if any(name.endswith(".json") for name in os.listdir(self._path)):
                return os.stat(self._path).st_mtime_ns
        except OSError:  # there is no folder
            pass
        return None
