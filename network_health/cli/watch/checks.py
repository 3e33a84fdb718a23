"""Runs the checks of the live view in a thread, so that a slow check does not delay a key.

Guarantees: a check starts every ``seconds``, one at a time. Slow checks start less often, so that they take
at most a quarter of the time; the pause between two is at most ten seconds or ``seconds``. Errors and
drops from before the view are not reported. An unexpected error ends the view.
"""

from __future__ import annotations

import heapq
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from network_health import Monitor, Report, Settings
from network_health.cli.watch.state import CheckResult
from network_health.collectors import process_candidates, top_processes
from network_health.delivery import Schedule
from network_health.model import ProcessReading, ProcessSample
from network_health.reporting import process_metrics, redacted
from network_health.sources import Answer, Isolated, available_readers

#: From the first sample to the first check, so that the first rates come soon.
FIRST_CHECK_S = 1.0
_READ_TIMEOUT_S = 10.0
#: The pause after a check is at least this multiple of its duration, up to a maximum.
_PAUSE_FACTOR, _MAX_PAUSE_S = 3, 10.0


class CheckThread(threading.Thread):
    """After each check puts its result, or the error that ended the checks, into ``results``; then wakes."""

    def __init__(self, settings: Settings, seconds: float, wake: Callable[[], None]) -> None:
        super().__init__(name="checks", daemon=True)
        self.results: queue.SimpleQueue[CheckResult | BaseException] = queue.SimpleQueue()
        self._settings = settings
        self._seconds = seconds
        self._wake = wake

    def run(self) -> None:
        """Check until the process ends."""
        try:
            self._run_checks()
        except BaseException as error:  # noqa: BLE001 - the loop raises it again
            self.results.put(error)
            self._wake()

    def _run_checks(self) -> None:
        monitor = ViewMonitor(self._settings)
        next_s = time.monotonic() + min(FIRST_CHECK_S, self._seconds)
        schedule = Schedule(next_s, self._seconds)
        while True:
            while (left_s := next_s - time.monotonic()) > 0:
                monitor.sample()
                time.sleep(min(left_s, 1.0))
            started_s = time.monotonic()
            schedule.started(started_s)
            report = monitor.check()
            duration_s = time.monotonic() - started_s
            pause_s = min(_PAUSE_FACTOR * duration_s, _MAX_PAUSE_S)
            next_s = max(schedule.due_s, started_s + duration_s + pause_s)
            self.results.put(CheckResult(report, started_s, next_s, duration_s))
            self._wake()


class ViewMonitor:
    """A `Monitor` whose reports also have ``top_memory``, and CPU and memory in ``top_network``.

    Each process has ``script`` and ``unit``, where they are known. They are for the screen: no other report
    has them.
    """

    def __init__(self, settings: Settings) -> None:
        self._details = {reader.name: reader.process_details for reader in available_readers()}
        self._run_rankings = Isolated[dict[str, Any]]("processes", _READ_TIMEOUT_S)
        self._monitor = Monitor(settings)
        self._monitor.skip_earlier_errors()

    def sample(self) -> None:
        """See `Monitor.sample`."""
        self._monitor.sample()

    def check(self) -> Report:
        """One check; never raises."""
        before = self._monitor.processes.last
        report = self._monitor.check()
        now = self._monitor.processes.last
        if now is None or now is before:  # the processes could not be read
            return report
        added = self._run_rankings.run(lambda: Answer(self._rankings(report, before, now), now.reader)).value
        report = replace(report, metrics={**report.metrics, **(added or {})})
        return redacted(report, self._monitor.settings.redact)

    def _rankings(
        self, report: Report, before: Answer[ProcessReading] | None, now: Answer[ProcessReading]
    ) -> dict[str, Any]:
        """``top_memory``, and ``top_network`` with CPU and memory, the most bytes first."""
        count = self._monitor.settings.top_n_procs
        earlier = before.value if before and before.reader == now.reader else None
        read_details = self._details[now.reader]

        def describe(samples: Sequence[ProcessSample]) -> list[dict[str, Any]]:
            found = process_candidates(earlier, ProcessReading(now.value.at_s, tuple(samples)), len(samples))
            details = read_details([sample.pid for sample in samples])
            return process_metrics(top_processes(found, details, len(samples)))

        samples = now.value.processes
        biggest = heapq.nlargest(count, samples, key=lambda sample: sample.rss_bytes or 0)
        traffic = {entry["pid"]: entry for entry in report.metrics.get("top_network", ())}
        usage = {row["pid"]: row for row in describe([s for s in samples if s.pid in traffic])}
        memory = [traffic.get(row["pid"], {}) | row for row in describe(biggest)]
        network = [
            {name: usage.get(pid, {}).get(name) for name in ("cpu_percent", "rss_mb")} | entry
            for pid, entry in traffic.items()
            if entry["net_tx_bytes"] or entry["net_rx_bytes"]
        ]
        rankings = {"top_memory": sorted(memory, key=lambda row: -row["rss_mb"])}
        rankings["top_procs"] = [dict(row) for row in report.metrics.get("top_procs", ())]
        if "top_network" in report.metrics:
            rankings["top_network"] = sorted(network, key=lambda e: -e["net_tx_bytes"] - e["net_rx_bytes"])
        _add_origins([row for rows in rankings.values() for row in rows])
        return rankings


def _add_origins(rows: Sequence[dict[str, Any]]) -> None:
    """Add what tells processes of one name apart: the script of an interpreter, the systemd unit."""
    if sys.platform != "linux":
        return
    from network_health.sources import linux  # needs what only Linux has

    known: dict[int, dict[str, str | None]] = {}
    for row in rows:
        if (pid := row["pid"]) is None:
            continue
        if pid not in known:
            known[pid] = {"script": linux.read_script(pid), "unit": linux.read_container_and_unit(pid)[1]}
        row.update(known[pid])
