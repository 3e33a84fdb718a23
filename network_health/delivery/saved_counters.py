"""Saves the error counters that have been reported, so that a respawned agent continues from them.

Guarantees: counters of an earlier boot are never loaded. No method raises because of the file. Call `save`
after the check's report is in the outbox: an agent killed in between reports these errors again; the other
order would lose them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path

from network_health.collectors import ReportedCounters
from network_health.delivery.atomic_file import write_atomically
from network_health.delivery.own_file import read_own
from network_health.model import ErrorCounters


class SavedCounters:
    """The file that keeps `Monitor.reported` while the agent is not running.

    Args:
        path: the file; its folder must exist.
        boot_id: the result of `network_health.sources.boot_id`.
        log: takes one line for each change that an operator should know of.
    """

    def __init__(self, path: Path, boot_id: str, log: Callable[[str], None]) -> None:
        self._path = path
        self._boot_id = boot_id
        self._log = log
        self._save_failed = False

    def load(self) -> ReportedCounters | None:
        """The counters saved last; ``None`` if none were saved since the boot or the file is damaged."""
        try:
            saved = json.loads(read_own(self._path))
            if saved["boot_id"] != self._boot_id:
                return None
            return {name: _parse(row) for name, row in saved["counters"].items()}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
            self._log(
                f"{self._path} cannot be read ({type(error).__name__}: {error}): "
                f"packet errors since boot are reported again"
            )
            return None

    def save(self, counters: ReportedCounters | None) -> None:
        """Replace the saved counters; ``None`` changes nothing."""
        if counters is None:
            return
        rows = {name: astuple(each) for name, each in counters.items()}
        try:
            write_atomically(self._path, json.dumps({"boot_id": self._boot_id, "counters": rows}).encode())
        except OSError as error:
            if not self._save_failed:
                self._log(
                    f"{self._path} cannot be written ({error}): "
                    f"a restarted agent would report packet errors twice"
                )
            self._save_failed = True
        else:
            if self._save_failed:
                self._log(f"{self._path} can be written again")
            self._save_failed = False


def _parse(row: list[int | None]) -> ErrorCounters:
    """One row of the file.

    Raises:
        ValueError, TypeError: the row is not what `SavedCounters.save` writes.
    """
    index, *counts = row
    if type(index) not in (int, type(None)) or any(type(n) is not int or n < 0 for n in counts):
        raise ValueError(f"not error counters: {row!r:.80}")
    tx_errors, rx_errors, drops, packets = (n for n in counts if n is not None)
    return ErrorCounters(index, tx_errors, rx_errors, drops, packets)
