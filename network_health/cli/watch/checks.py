"""The checks of a live view, in a thread of their own, so that one that hangs holds up no key.

Laws: a check is started every ``seconds``, one at a time; where checks are slow, less often, so that they
take no more than a quarter of the time. What was lost before the view began is not told.
An error that nobody foresaw ends the view; it does not leave a screen that stands still.
"""

from __future__ import annotations

import heapq
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from network_health import Monitor, Report, Settings
from network_health.cli.watch.state import Sight
from network_health.collectors import process_candidates, top_processes
from network_health.delivery import Schedule
from network_health.model import ProcessReading, ProcessSample
from network_health.reporting import process_metrics, redacted
from network_health.sources import Answer, Isolated, available_readers

#: From the first sample to the first check; the others are as far apart as is wanted.
FIRST_S = 1.0
_LONGEST_READ_S = 10.0
#: After a check there is a rest of so many times what it took, but not longer than the latter.
_REST, _LONGEST_REST_S = 3, 10.0


class Checks(threading.Thread):
    """Puts a `Sight` into ``sights`` after each check, or the error that ended it, and calls ``tell``."""

    def __init__(self, settings: Settings, seconds: float, tell: Callable[[], None]) -> None:
        super().__init__(name="checks", daemon=True)
        self.sights: queue.SimpleQueue[Sight | BaseException] = queue.SimpleQueue()
        self._settings = settings
        self._seconds = seconds
        self._tell = tell

    def run(self) -> None:
        """Check until the process ends."""
        try:
            self._check_on()
        except BaseException as error:  # noqa: BLE001 - raised again by whoever takes it out
            self.sights.put(error)
            self._tell()

    def _check_on(self) -> None:
        observer = Observer(self._settings)
        next_s = time.monotonic() + min(FIRST_S, self._seconds)
        schedule = Schedule(next_s, self._seconds)
        while True:
            time.sleep(max(next_s - time.monotonic(), 0))
            started_s = time.monotonic()
            schedule.started(started_s)
            report = observer.check()
            took_s = time.monotonic() - started_s
            next_s = max(schedule.due_s, started_s + took_s + min(_REST * took_s, _LONGEST_REST_S))
            self.sights.put(Sight(report, started_s, next_s, took_s))
            self._tell()


class Observer:
    """A `Monitor` whose reports have what only a view shows: ``top_memory``, and CPU in ``top_network``."""

    def __init__(self, settings: Settings) -> None:
        self._details = {reader.name: reader.process_details for reader in available_readers()}
        self._run_rankings = Isolated[dict[str, Any]]("processes", _LONGEST_READ_S)
        self._monitor = Monitor(settings)
        self._monitor.take_as_reported()

    def check(self) -> Report:
        """One check; never raises."""
        before = self._monitor.processes.last
        report = self._monitor.check()
        now = self._monitor.processes.last
        if now is None or now is before:  # the processes could not be read
            return report
        more = self._run_rankings.run(lambda: Answer(self._rankings(report, before, now), now.reader)).value
        report = replace(report, metrics={**report.metrics, **(more or {})})
        return redacted(report, self._monitor.settings.redact)

    def _rankings(
        self, report: Report, before: Answer[ProcessReading] | None, now: Answer[ProcessReading]
    ) -> dict[str, Any]:
        """``top_memory``, and ``top_network`` with CPU and memory, the most bytes first."""
        count = self._monitor.settings.top_n_procs
        earlier = before.value if before and before.reader == now.reader else None
        read_details = self._details[now.reader]

        def described(samples: Sequence[ProcessSample]) -> list[dict[str, Any]]:
            found = process_candidates(earlier, ProcessReading(now.value.at_s, tuple(samples)), len(samples))
            details = read_details([sample.pid for sample in samples])
            return process_metrics(top_processes(found, details, len(samples)))

        biggest = heapq.nlargest(count, now.value.processes, key=lambda sample: sample.rss_bytes or 0)
        movers = {entry["pid"]: entry for entry in report.metrics.get("top_network", ())}
        moving = {row["pid"]: row for row in described([s for s in now.value.processes if s.pid in movers])}
        memory = [movers.get(row["pid"], {}) | row for row in described(biggest)]
        network = [
            {name: moving.get(pid, {}).get(name) for name in ("cpu_percent", "rss_mb")} | entry
            for pid, entry in movers.items()
            if entry["net_tx_bytes"] or entry["net_rx_bytes"]
        ]
        more = {"top_memory": sorted(memory, key=lambda row: -row["rss_mb"])}
        if "top_network" in report.metrics:
            more["top_network"] = sorted(network, key=lambda e: -e["net_tx_bytes"] - e["net_rx_bytes"])
        return more
