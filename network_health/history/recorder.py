"""Keeps the reports of an agent in its history.

Guarantees: no method raises, or waits for the disk. What cannot be written waits in memory, and the oldest is
dropped if that is too much. A problem is logged when it begins and when it ends, with the next report.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from network_health.history.file_access import history_path
from network_health.history.rows import check_rows
from network_health.history.writer import Writer
from network_health.reporting import Report
from network_health.settings import Settings

#: A disk that has not answered for this long is a problem.
_PATIENCE_S = 10.0


class Recorder:
    """The history of one agent.

    Args:
        folder: the agent's own folder, for the setting ``history: true``.
        settings: those in force; `apply` replaces them.
        log: takes a sentence when a problem ends.
        warn: takes a sentence when one begins.
    """

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        log: Callable[[str], None] = lambda _: None,
        warn: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder, self._log, self._warn = folder, log, warn
        self._writer: Writer | None = None
        self._problem: str | None = None
        self.apply(settings)

    def apply(self, settings: Settings) -> None:
        """Use these settings from now on: another file, or none, or another size."""
        self._settings = settings
        path, max_bytes = history_path(settings, self._folder), settings.history_max_mb * 10**6
        writer = self._writer
        if writer and writer.path != path:
            writer.stop()
            self._writer = writer = None
            self._problem = None
        if writer:
            writer.max_bytes = max_bytes
        elif path:
            self._writer = Writer(path, max_bytes)

    def add(self, report: Report) -> None:
        """Keep one report, if the history is on."""
        if self._writer is None:
            return
        self._writer.add(check_rows(report), self._settings)
        self._log_changes(self._writer)

    def close(self, timeout_s: float = 5.0) -> None:
        """Wait until everything is written, at most ``timeout_s``, and close the file."""
        if self._writer:
            self._writer.stop(timeout_s)
            self._log_changes(self._writer)
            self._writer = None

    def _log_changes(self, writer: Writer) -> None:
        while writer.notes:
            self._warn(writer.notes.popleft())
        problem, began_s = writer.problem, writer.busy_since_s
        if problem is None and began_s is not None and time.monotonic() - began_s > _PATIENCE_S:
            problem = f"the disk has not answered for {time.monotonic() - began_s:.0f} s"
        if problem and self._problem is None:
            self._warn(f"The history {writer.path} is not written: {problem}. Checks and reports go on.")
        elif problem is None and self._problem:
            lost = f"; {writer.lost} checks are missing" if writer.lost else "; no check is missing"
            self._log(f"The history {writer.path} is written again{lost}")
            writer.lost = 0
        self._problem = problem
