"""Reads which node runs which agent, from the spawn records ``<comm>/<universal_id>/spawn/*.spawn``.

The framework writes one record (JSON: ``universal_id``, ``agent_name``, ``timestamp``, ``pid``) at
every launch of a node, never rewrites it, and removes it only with the node's whole folder.

Guarantees: reads only; a damaged record is ignored, as is one that another user or program put there (a link,
a FIFO, a huge file); nothing here raises because of a swarm's folders.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from network_health.delivery import read_own

DETECTIVE = "forensic_detective"
#: A record of the framework has some hundred bytes.
_MAX_BYTES = 1 << 20

#: Separates the name of an agent's source from that of its blueprint: ``forensic_detective_bp_night``.
BLUEPRINT = "_bp_"


@dataclass(frozen=True, slots=True)
class SpawnRecord:
    """One launch of a node. ``timestamp`` is the framework's ``YYYYmmddHHMMSSffffff``, local time."""

    universal_id: str
    agent_name: str
    timestamp: str
    pid: int | None

    @property
    def source_name(self) -> str:
        """The name of the agent's source, without the blueprint."""
        return self.agent_name.split(BLUEPRINT)[0]


def detective_nodes(comm: Path) -> list[str]:
    """The universal_ids, sorted, of the nodes that run ``forensic_detective``.

    A node that is down counts, as when the framework looks up a role: its packets wait in its folder until it
    is respawned. A node that the swarm removes (it has a ``die`` and a ``tombstone`` cookie) does not count.
    """
    return sorted(
        record.universal_id
        for record in newest_records(comm).values()
        if record.source_name == DETECTIVE and not _is_ended(comm / record.universal_id)
    )


def newest_records(comm: Path) -> dict[str, SpawnRecord]:
    """The newest readable record of each node, by universal_id; empty where ``comm`` cannot be read."""
    newest: dict[str, SpawnRecord] = {}
    for node in _children(comm):
        for record in _records_of(node):
            known = newest.get(record.universal_id)
            if known is None or record.timestamp > known.timestamp:
                newest[record.universal_id] = record
    return newest


def _records_of(node: Path) -> Iterator[SpawnRecord]:
    for path in _children(node / "spawn"):
        if path.suffix != ".spawn":
            continue
        record = _read(path)
        # A record counts only for the node in whose folder it is.
        if record is not None and record.universal_id == node.name:
            yield record


def _children(folder: Path) -> list[Path]:
    try:
        return [folder / name for name in os.listdir(folder)]
    except OSError:  # no such folder, not a folder, or not readable
        return []


def _read(path: Path) -> SpawnRecord | None:
    try:
        data = json.loads(read_own(path, _MAX_BYTES).decode())
    except (OSError, ValueError, RecursionError):  # unreadable, half written, or not JSON
        return None
    if not isinstance(data, dict):
        return None
    uid, name, timestamp, pid = (data.get(key) for key in ("universal_id", "agent_name", "timestamp", "pid"))
    if not (isinstance(uid, str) and isinstance(name, str) and isinstance(timestamp, str)):
        return None
    return SpawnRecord(uid, name, timestamp, pid if type(pid) is int else None)


def _is_ended(node: Path) -> bool:
    incoming = node / "incoming"
    return (incoming / "die").exists() and (incoming / "tombstone").exists()
