"""Reads the reports that a node of an unencrypted swarm has received.

A packet is a JSON file in ``<comm>/<uid>/incoming/`` until the node's listener takes it (it polls every 3 s);
then the node writes a line to its ``agent.log``. The file has the content, the line proves that the node got
it: a report counts as received only when both were seen.

Guarantees: reads only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

_INGESTED = re.compile(r"\[INGEST\].*?Received '(\w+)' report")


class Inbox:
    """The reports of one node; `received` has to be called every 50 ms or more often.

    ``read_log`` returns the whole log of the node.
    """

    def __init__(self, incoming: Path, read_log: Callable[[], str]) -> None:
        self._incoming = incoming
        self._read_log = read_log
        self._seen: set[str] = set()
        self._waiting: list[tuple[Path, dict[str, Any]]] = []
        self._ingested = 0

    def received(self) -> list[dict[str, Any]]:
        """The contents of the reports that the node received since the last call, oldest first."""
        self._read_packets()
        severities = _INGESTED.findall(self._read_log())
        reports = [self._match(severity) for severity in severities[self._ingested :]]
        self._ingested = len(severities)
        return [report for report in reports if report is not None]

    def _read_packets(self) -> None:
        for path in sorted(self._incoming.glob("pk_*.json")):
            if path.name in self._seen:
                continue
            try:
                packet = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:  # the node has just taken it
                continue
            self._seen.add(path.name)
            content = packet.get("content")
            if isinstance(content, dict) and "severity" in content:
                self._waiting.append((path, content))

    def _match(self, severity: str) -> dict[str, Any] | None:
        """The oldest report of that severity that the node has taken; ``None`` if its file was never read."""
        for number, (path, content) in enumerate(self._waiting):
            if content["severity"] == severity and not path.exists():
                del self._waiting[number]
                return content
        return None
