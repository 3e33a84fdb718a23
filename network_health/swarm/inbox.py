"""The reports that a node of an unencrypted swarm takes in, with their contents.

A packet lies as a JSON file in ``<comm>/<uid>/incoming/`` until the node's listener takes it (it looks
every 3 s), and its ``agent.log`` tells of the ingestion. The first gives the content, the second the
proof: only what both tell of counts as arrived.

Laws: reads only; never in the way of the node.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_INGESTED = re.compile(r"\[INGEST\].*?Received '(\w+)' report")


class Inbox:
    """What arrives at one node. `arrived` has to be called every few hundredths of a second.

    ``read_log`` returns the whole of the node's log.
    """

    def __init__(self, incoming: Path, read_log: Callable[[], str]) -> None:
        self._incoming = incoming
        self._read_log = read_log
        self._seen: set[str] = set()
        self._waiting: list[tuple[Path, dict[str, Any]]] = []
        self._ingested = 0

    def arrived(self) -> list[dict[str, Any]]:
        """The contents of the reports that were ingested since the last call, oldest first."""
        self._look()
        severities = _INGESTED.findall(self._read_log())
        reports = [self._match(severity) for severity in severities[self._ingested :]]
        self._ingested = len(severities)
        return [report for report in reports if report is not None]

    def _look(self) -> None:
        for path in sorted(self._incoming.glob("pk_*.json")):
            if path.name in self._seen:
                continue
            try:
                packet = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:  # taken between the two steps
                continue
            self._seen.add(path.name)
            content = packet.get("content")
            if isinstance(content, dict) and "severity" in content:
                self._waiting.append((path, content))

    def _match(self, severity: str) -> dict[str, Any] | None:
        """The oldest report of that severity that the node has taken; ``None`` if it was never seen."""
        for number, (path, content) in enumerate(self._waiting):
            if content["severity"] == severity and not path.exists():
                del self._waiting[number]
                return content
        return None
