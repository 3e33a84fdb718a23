"""Keeps the error counters that have been reported, so that a respawned agent goes on from there.

Laws: what is loaded was saved since the host last booted, or nothing is; nothing here raises because of
the file. Save after the reports of a check are in the outbox: killed in between, the agent tells the
errors of that one check again rather than never.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from network_health.collectors import ReportedCounters
from network_health.delivery import atomic_file
from network_health.model import ErrorCounters


class SavedCounters:
    """The file that `Monitor.marks` are kept in between two lives of an agent.

    Args:
        path: the file; its folder must exist.
        boot_id: what `network_health.sources.boot_id` says.
        log: takes one line for each change that an operator should know of.
    """

    def __init__(self, path: Path, boot_id: str, log: Callable[[str], None]) -> None:
        self._path = path
        self._boot_id = boot_id
        self._log = log
        self._in_trouble = False

    def load(self) -> ReportedCounters | None:
        """What was saved last; ``None`` if nothing was since the host booted, or if it is damaged."""
        try:
            saved = json.loads(self._path.read_bytes())
            if saved["boot_id"] != self._boot_id:
                return None
            return {name: _mark(numbers) for name, numbers in saved["marks"].items()}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
            self._log(
                f"{self._path} is of no use ({type(error).__name__}: {error}): "
                f"packet errors since the host booted are told once more"
            )
            return None

    def save(self, marks: ReportedCounters | None) -> None:
        """Replace what was saved; ``None`` changes nothing. Another user cannot read the file."""
        if marks is None:
            return
        rows = {
            name: [mark.index, mark.tx_errors, mark.rx_errors, mark.drops, mark.packets]
            for name, mark in marks.items()
        }
        try:
            atomic_file.write_whole(
                self._path, json.dumps({"boot_id": self._boot_id, "marks": rows}).encode()
            )
        except OSError as error:
            if not self._in_trouble:
                self._log(
                    f"{self._path} cannot be written ({error}): an agent that starts again now would tell "
                    f"packet errors twice"
                )
            self._in_trouble = True
        else:
            if self._in_trouble:
                self._log(f"{self._path} can be written again")
            self._in_trouble = False


def _mark(numbers: list[int | None]) -> ErrorCounters:
    """One row of the file.

    Raises:
        ValueError: it is not what `SavedCounters.save` writes.
        TypeError: so.
    """
    index, *counts = numbers
    if type(index) not in (int, type(None)) or any(type(n) is not int or n < 0 for n in counts):
        raise ValueError(f"not error counters: {numbers!r:.80}")
    tx_errors, rx_errors, drops, packets = (n for n in counts if n is not None)
    return ErrorCounters(index, tx_errors, rx_errors, drops, packets)
