"""Runs one check of the host: collect, evaluate, attribute, alert, report.

Guarantees: `Monitor.check` never raises. Collectors are independent: one that fails or times out affects
neither the others nor the reading that its next run compares with.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from network_health import alerting
from network_health.collectors import (
    Collector,
    Peaks,
    observe_interfaces,
    observe_namespaces,
    observe_protocols,
    process_candidates,
    reported_counters,
    top_processes,
    with_history,
)
from network_health.delivery import MonitorState
from network_health.model import (
    Attribution,
    Cost,
    CounterReading,
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
from network_health.settings import Settings
from network_health.sources import Answer, Background, Isolated, Outcome, Readers, available_readers

if TYPE_CHECKING:
    from network_health.attribution import Attributor

#: A collector that takes longer than this is reported as a failure and left behind.
COLLECTOR_TIMEOUT_S = 10.0

T = TypeVar("T")
Attributed = tuple[tuple[Finding, ...], Attribution] | None


class Monitor:
    """Monitors this host. The constructor takes the first sample, so that the first check has rates.

    Args:
        settings: the limits; the attribute ``settings`` may be replaced between checks.
        saved: `state` of an earlier monitor. This one continues its alerts, and no error is reported twice
            or missed.
        readers: in order of preference; default: those of this system.
        attributor: finds the culprits; default: the kernel's on Linux, none if ``readers`` is given.
        collector_timeout_s: how long one collector may take.
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
        if not isinstance(settings, Settings | None):
            raise TypeError(
                f"Monitor takes Settings, not {type(settings).__name__}: give Settings(...) or "
                "Settings.from_mapping(...)"
            )
        self.settings = settings or Settings()
        self.settings_errors: tuple[str, ...] = ()
        self._reported = saved.reported if saved else None
        self._attributor = attributor or (None if readers else _kernel_attributor())
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
        self._samples = Background[Answer[CounterReading]]("interface-counters")
        self._peaks: Answer[Peaks] | None = None
        with_namespaces = [reader for reader in readers if reader.namespaces]
        self.namespaces = with_namespaces and Collector(
            "namespaces", self._read_namespaces, _latest, with_namespaces, collector_timeout_s
        )
        interfaces = self.interfaces.run().value or ()
        self._start_peaks()
        self.processes.run()
        if self.protocols:
            self.protocols.run()
        started_s = time.monotonic()
        self._alerts = saved.alerts if saved else alerting.initial_state(interfaces, self.settings, started_s)

    @property
    def state(self) -> MonitorState:
        """What the next monitor of this host continues from."""
        return MonitorState(self._reported, self._alerts)

    def skip_earlier_errors(self) -> None:
        """Do not report the interface errors counted up to the last sample."""
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
        self._alerts = alerting.expect_configured_links(self._alerts, last.value.links, default_routes)

    def sample(self) -> None:
        """Read the counters of the interfaces, for their peaks; call it once a second between two checks.

        Never raises, and does not wait for the reading.
        """
        self._take_samples()
        if self._sample:
            self._samples.start(self._sample)

    def check(self) -> Report:
        """One check: collect, evaluate, attribute, alert, report. Never raises."""
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
        values = {name: outcome.value for name, outcome in outcomes.items()}
        if values["interfaces"] is not None:
            self.skip_earlier_errors()
            values["interfaces"] = self._with_peaks(values["interfaces"])
        return Snapshot(
            timestamp=timestamp,
            interfaces=values["interfaces"],
            connections=values["connections"],
            top_processes=values["processes"],
            failures=tuple(outcome.failure for outcome in outcomes.values() if outcome.failure),
            cost=Cost(
                total_ms=(time.monotonic() - started_s) * 1e3,
                collectors_ms={name: outcome.ms for name, outcome in outcomes.items()},
                readers={name: outcome.reader for name, outcome in outcomes.items() if outcome.reader},
            ),
            protocols=values.get("protocols"),
            namespaces=values.get("namespaces"),
        )

    def _take_samples(self) -> None:
        for sample in self._samples.take():
            if self._peaks and self._peaks.reader == sample.reader:
                self._peaks.value.add(sample.value)

    def _with_peaks(self, interfaces: tuple[Interface, ...]) -> tuple[Interface, ...]:
        """Add the peaks since the previous check, and begin those of the next one."""
        self._take_samples()
        peaks, last = self._peaks, self.interfaces.last
        if peaks and last and peaks.reader == last.reader:
            interfaces = peaks.value.finish(last.value, interfaces)
        self._start_peaks()
        return interfaces

    def _start_peaks(self) -> None:
        last = self.interfaces.last
        self._peaks = Answer(Peaks(last.value), last.reader) if last else None
        read = next((each.counters for each in self._readers if last and each.name == last.reader), None)
        self._sample = partial(_answer, read, last.reader) if last and read else None

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


def _answer(read: Callable[[], CounterReading], reader: str) -> Answer[CounterReading]:
    return Answer(read(), reader)


def _latest(_: T | None, now: T, __: Readers) -> T:
    return now


def _kernel_attributor() -> Attributor | None:
    if sys.platform != "linux":
        return None
    from network_health.attribution import Attributor  # needs what only Linux has

    return Attributor()
