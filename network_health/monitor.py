"""Runs one check of the host: collect, evaluate, attribute, alert, report.

Guarantees: `Monitor.check` never raises. Collectors are independent: one that fails or times out affects
neither the others nor the reading that its next run compares with. A monitor may be used by several threads.
"""

from __future__ import annotations

import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from network_health import alerting
from network_health.collectors import (
    MIN_WINDOW_S,
    Collector,
    PeakSamples,
    observe_interfaces,
    observe_namespaces,
    observe_protocols,
    process_candidates,
    reported_counters,
    snapshot_of,
    top_processes,
    with_history,
)
from network_health.delivery import MonitorState, Schedule
from network_health.model import (
    Attribution,
    Finding,
    Interface,
    LinkReading,
    Namespaces,
    ProcessReading,
    ProtocolReading,
    RankedProcess,
    Snapshot,
)
from network_health.reporting import Report, build_report, redacted
from network_health.settings import Settings, allowed, number
from network_health.sources import Answer, Isolated, Outcome, Readers, available_readers

if TYPE_CHECKING:
    from network_health.attribution import Attributor

#: A collector that takes longer than this is reported as a failure and left behind.
COLLECTOR_TIMEOUT_S = 10.0

_INTERVAL = number("a number of seconds from 0.1 to 86400", minimum=MIN_WINDOW_S, maximum=86400)

T = TypeVar("T")
Attributed = tuple[tuple[Finding, ...], Attribution] | None


class Monitor:
    """Monitors this host. The constructor takes the first sample: `check` compares with it.

    `close`, or the end of a ``with`` block, closes what is open between two checks: sockets of the kernel,
    BPF programs and a thread.

    Args:
        settings: the limits; the attribute ``settings`` may be replaced between checks.
        saved: `state` of an earlier monitor. This one continues its alerts, and no error is reported twice
            or missed.
        readers: in order of preference; default: those of this system.
        attributor: finds the culprits; default: the kernel's on Linux, none if ``readers`` is given.
        collector_timeout_s: how long one collector may take.

    Raises:
        TypeError: ``settings`` are no `Settings`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        saved: MonitorState | None = None,
        readers: Sequence[Readers] | None = None,
        attributor: Attributor | None = None,
        collector_timeout_s: float = COLLECTOR_TIMEOUT_S,
    ) -> None:
        self.settings = Settings() if settings is None else settings
        self.settings_errors: tuple[str, ...] = ()
        self._reported = saved.reported if saved else None
        self._attributor = attributor or (None if readers else _kernel_attributor())
        if self._attributor:  # the kernel does not detach BPF programs of a monitor that nobody closed
            weakref.finalize(self, self._attributor.close)
        self._run_attribution = Isolated[Attributed]("culprits", collector_timeout_s)
        readers = self._readers = tuple(readers or available_readers())
        with_protocols = [reader for reader in readers if reader.protocols]
        options = readers, collector_timeout_s
        self.interfaces = Collector(
            "interfaces",
            lambda reader, before: with_history(before, reader.links()),
            self._compare_links,
            *options,
        )
        self.connections = Collector("connections", lambda reader, _: reader.connections(), _latest, *options)
        self.processes = Collector(
            "processes", lambda reader, _: reader.processes(), self._rank_processes, *options
        )
        self.protocols = with_protocols and Collector(
            "protocols",
            self._read_protocols,
            lambda before, now, _: observe_protocols(before, now),
            with_protocols,
            collector_timeout_s,
        )
        self._peaks = PeakSamples(readers)
        with_namespaces = [reader for reader in readers if reader.namespaces]
        self.namespaces = with_namespaces and Collector(
            "namespaces", self._read_namespaces, _latest, with_namespaces, collector_timeout_s
        )
        interfaces = self.interfaces.run().value or ()
        self._peaks.start(self.interfaces.last)
        self.processes.run()
        if self.protocols:
            self.protocols.run()
        started_s = time.monotonic()
        self._alerts = saved.alerts if saved else alerting.initial_state(interfaces, self.settings, started_s)
        #: Reentrant, because a signal handler may check in the thread of a check that it has interrupted.
        self._lock = threading.RLock()

    @property
    def settings(self) -> Settings:
        """The limits of the next check."""
        return self._settings

    @settings.setter
    def settings(self, settings: Settings) -> None:
        if not isinstance(settings, Settings):
            raise TypeError(
                f"Monitor takes Settings, not {type(settings).__name__}: give Settings(...) or "
                "Settings.from_mapping(...)"
            )
        self._settings = settings

    @property
    def state(self) -> MonitorState:
        """What the next monitor of this host continues from."""
        with self._lock:
            return MonitorState(self._reported, self._alerts)

    def __enter__(self) -> Monitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open between two checks. A later check opens it again."""
        with self._lock:
            self._peaks.close()
            for each in self._readers:
                each.close()
            if self._attributor:
                self._attributor.close()

    def skip_earlier_errors(self) -> None:
        """Do not report the interface errors counted up to the last sample."""
        with self._lock:
            if self.interfaces.last:
                self._reported = reported_counters(self.interfaces.last.value)

    def expect_configured_links(self) -> None:
        """Report a link that is down already, if its UP flag is set and it has an address or a default route.

        Without this only a link that was seen up is reported. Link-local addresses do not count.
        """
        last = self.interfaces.last
        if last is None:
            return
        read = next((each.default_routes for each in self._readers if each.name == last.reader), None)
        try:
            default_routes = read() if read else frozenset[str]()
        except (OSError, ValueError):
            default_routes = frozenset()
        links = last.value.links
        with self._lock:
            self._alerts = alerting.expect_configured_links(self._alerts, links, default_routes)

    def sample(self) -> None:
        """Read the counters of the interfaces, for their peaks; call it once a second between two checks.

        Never raises, and waits for nothing: during a check there is no sample.
        """
        if self._lock.acquire(blocking=False):
            try:
                self._peaks.sample()
            finally:
                self._lock.release()

    def checks(self, interval_s: float | None = None) -> Iterator[Report]:
        """Endless: a check every ``interval_s`` seconds, the first after one interval, with peaks.

        The default is the setting ``check_interval_sec``. The time of a check, and of the loop's body, is not
        added. A late check comes at once; others that were missed are skipped. Nothing outlasts the loop.

        Raises:
            SettingsError: ``interval_s`` is not allowed.
        """
        interval_s = self.settings.check_interval_sec if interval_s is None else interval_s
        seconds = allowed("interval_s", interval_s, _INTERVAL)
        return self._scheduled(Schedule(time.monotonic() + seconds, seconds))

    def _scheduled(self, schedule: Schedule) -> Iterator[Report]:
        while True:
            while (left_s := schedule.due_s - time.monotonic()) > 0:
                self.sample()
                time.sleep(min(left_s, 1.0))
            schedule.started(time.monotonic())
            yield self.check()

    def check(self) -> Report:
        """One check: collect, evaluate, attribute, alert, report. Never raises.

        Rates, CPU shares and new errors are those since the previous check, or since the constructor. So wait
        before it: after less than 0.1 s rates are unknown, which is ``None`` in ``interfaces`` and 0 in
        ``metrics``. During a check of another thread it waits for that one.
        """
        with self._lock:
            return self._check()

    def _check(self) -> Report:
        timestamp, started_s, settings = time.time(), time.monotonic(), self.settings
        snapshot = self._collect(timestamp, started_s)
        findings = alerting.evaluate(snapshot, settings)
        snapshot, findings = self._attribute(snapshot, findings, settings, started_s)
        self._alerts, verdict = alerting.step(self._alerts, findings, snapshot, settings, started_s)
        report = build_report(snapshot, verdict, settings, self.settings_errors)
        return redacted(report, settings.redact)

    def _collect(self, timestamp: float, started_s: float) -> Snapshot:
        namespaces = None if self.settings.namespaces == "off" else self.namespaces
        collectors = self.interfaces, self.connections, self.processes, self.protocols, namespaces
        outcomes: dict[str, Outcome[Any]] = {each.name: each.run() for each in collectors if each}
        interfaces = outcomes["interfaces"].value
        if interfaces is not None:
            self.skip_earlier_errors()
            interfaces = self._peaks.finish(self.interfaces.last, interfaces)
        return snapshot_of(timestamp, interfaces, outcomes, (time.monotonic() - started_s) * 1e3)

    def _attribute(
        self, snapshot: Snapshot, findings: tuple[Finding, ...], settings: Settings, started_s: float
    ) -> tuple[Snapshot, tuple[Finding, ...]]:
        """Add the culprits of the findings that can be found."""
        attributor = self._attributor
        if attributor is None:
            return snapshot, findings
        outcome = self._run_attribution.run(
            lambda: Answer(attributor.attribute(findings, snapshot, settings), "kernel")
        )
        attribution = None
        if outcome.value is not None:
            findings, attribution = outcome.value
        elif outcome.failure and any(finding.breached for finding in findings):
            attribution = Attribution(failure=outcome.failure.reason)
        cost = replace(snapshot.cost, total_ms=(time.monotonic() - started_s) * 1e3)
        if attribution is not None:
            cost = replace(cost, collectors_ms={**cost.collectors_ms, "culprits": outcome.ms})
        return replace(snapshot, cost=cost, attribution=attribution), findings

    def _compare_links(
        self, before: LinkReading | None, now: LinkReading, _: Readers
    ) -> tuple[Interface, ...]:
        return observe_interfaces(before, self._reported, now, self.settings.exclude_interfaces)

    def _read_namespaces(self, reader: Readers, before: Namespaces | None) -> Namespaces:
        now = reader.namespaces() if reader.namespaces else Namespaces()
        last = self.interfaces.last
        return observe_namespaces(now, last.value.links if last else (), before)

    def _rank_processes(
        self, before: ProcessReading | None, now: ProcessReading, reader: Readers
    ) -> tuple[RankedProcess, ...]:
        count = self.settings.top_n_procs
        candidates = process_candidates(before, now, count)
        details = reader.process_details([candidate.sample.pid for candidate in candidates])
        return top_processes(candidates, details, count)

    def _read_protocols(self, reader: Readers, _: ProtocolReading | None) -> ProtocolReading:
        if reader.protocols is None:
            raise LookupError(f"{reader.name} has no protocol counters")
        return reader.protocols(self.settings.ephemeral_port_threshold_percent is not None)


def _latest(_: T | None, now: T, __: Readers) -> T:
    return now


def _kernel_attributor() -> Attributor | None:
    if sys.platform != "linux":
        return None
    from network_health.attribution import Attributor  # needs what only Linux has

    return Attributor()
