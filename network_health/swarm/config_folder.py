"""Watches the agent's ``config/`` folder, which the framework reads between calls of ``worker``."""

from __future__ import annotations

import os
from pathlib import Path


class ConfigFolder:
    """The folder; a packet in it is announced once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen_ns: int | None = None
        self._is_announced = False

    def has_news(self) -> bool:
        """Whether a packet came that the framework has not yet had the chance to read."""
        arrived_ns = self._arrived_ns()
        if arrived_ns is None or arrived_ns == self._seen_ns:
            return False
        self._seen_ns = arrived_ns
        self._is_announced = True
        return True

    def was_rejected(self) -> bool:
        """Whether the framework dropped an announced packet; for a call of ``worker`` without a config.

        A packet that is still there was only being written; it comes with the next call.
        """
        announced, self._is_announced = self._is_announced, False
        return announced and self._arrived_ns() is None

    def was_accepted(self) -> None:
        """To be called when ``worker`` is called with a config."""
        self._is_announced = False

    def _arrived_ns(self) -> int | None:
        """When the folder last changed, if a packet is in it."""
        try:
            if any(name.endswith(".json") for name in os.listdir(self._path)):
                return os.stat(self._path).st_mtime_ns
        except OSError:  # no folder, no packet
            pass
        return None
