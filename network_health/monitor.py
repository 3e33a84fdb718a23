"""One check after another: runs the collectors, judges, and owns what a check needs of the one before.

Laws: `Monitor.check` never raises; each collector stands alone; nothing that a failed or late run did
changes what the next check compares with.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from network_health import alerting, interfaces, kernel, links, processes, report, thresholds
from network_health.evidence import Inquiry
from network_health.interfaces import Marks
from network_health.isolation import Isolated, Outcome
from network_health.model import (
    Connections,
    Cost,
    Finding,
    Interface,
    LinkReading,
    ProcessReading,
    ProtocolReading,
    Protocols,
    RankedProcess,
    Snapshot,
)
from network_health.readers import Answer, Inquired, Readers, available, first_answer
from network_health.redact import redacted
from network_health.report import Report
from network_health.settings import Settings

__all__ = ["Monitor"]

#: A collector that takes longer than this is reported as a failure and left behind.
COLLECTOR_TIMEOUT_S = 10.0

R = TypeVar("R")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Sampled(Generic[R, V]):
    """What a collector that compares brings back: the reading to keep, and what it saw."""

    reading: R
    seen: V


class Monitor:
    """Watches this host. Building one takes the first sample; rates need a while between checks.

    Args:
        settings: the limits; may be replaced between checks through the attribute of that name.
        reported: the `marks` of a monitor before this one, so that no error is told twice or missed.
        readers: how to read, in the order of preference; default: what this system offers.
        collector_timeout_s: how long one collector may take.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        reported: Marks | None = None,
        readers: Sequence[Readers] | None = None,
        collector_timeout_s: float = COLLECTOR_TIMEOUT_S,
    ) -> None:
        self.settings = settings or Settings()
        self.settings_errors: tuple[str, ...] = ()
        self._readers = tuple(readers or available())
        self._reported = reported
        self._links: Answer[LinkReading] | None = None
        self._processes: Answer[ProcessReading] | None = None
        self._protocols: ProtocolReading | None = None
        self._run_interfaces = Isolated[_Sampled[LinkReading, tuple[Interface, ...]]](
            "interfaces", collector_timeout_s
        )
        self._run_connections = Isolated[Connections]("connections", collector_timeout_s)
        self._run_processes = Isolated[_Sampled[ProcessReading, tuple[RankedProcess, ...]]](
            "processes", collector_timeout_s
        )
        make_inquirer = next((way.inquirer for way in self._readers if way.inquirer), None)
        self._inquirer = make_inquirer() if make_inquirer else None
        self._run_inquiry = Isolated[Inquired]("culprits", collector_timeout_s)
        self._run_protocols = Isolated[_Sampled[ProtocolReading, Protocols]]("protocols", collector_timeout_s)
        seen = self.observe_interfaces().value or ()
        self.observe_processes()
        self.observe_protocols()
        first = links.follow(links.LinkStates(), seen, self.settings, time.monotonic())
        self._alerts = alerting.AlertState(links=first)

    @property
    def marks(self) -> Marks | None:
        """The error counters up to which everything is reported; ``None`` before the first check."""
        return self._reported

    def take_as_reported(self) -> None:
        """Tell nothing of what was lost up to the last sample of the interfaces."""
        if self._links:
            self._reported = interfaces.marks(self._links.value)

    def check(self) -> Report:
        """One check: read, judge, report. Never raises."""
        timestamp, started_s = time.time(), time.monotonic()
        seen = self.observe_interfaces()
        connections = self.observe_connections()
        top = self.observe_processes()
        outcomes: dict[str, Outcome[Any]] = {"interfaces": seen, "connections": connections, "processes": top}
        protocols = self.observe_protocols()
        if protocols is not None:
            outcomes["protocols"] = protocols
        snapshot = Snapshot(
            timestamp=timestamp,
            interfaces=seen.value,
            connections=connections.value,
            top_processes=top.value,
            failures=tuple(outcome.failure for outcome in outcomes.values() if outcome.failure),
            cost=Cost(
                total_ms=(time.monotonic() - started_s) * 1e3,
                collectors_ms={name: outcome.ms for name, outcome in outcomes.items()},
                readers={name: outcome.reader for name, outcome in outcomes.items() if outcome.reader},
            ),
            protocols=protocols.value if protocols else None,
        )
        if seen.value is not None:
            self.take_as_reported()
        settings = self.settings
        snapshot, findings = self._inquire(snapshot, thresholds.evaluate(snapshot, settings), started_s)
        self._alerts, verdict = alerting.step(self._alerts, findings, snapshot, settings, started_s)
        return redacted(report.build(snapshot, verdict, self.settings_errors), settings.redact)

    def _inquire(
        self, snapshot: Snapshot, findings: tuple[Finding, ...], started_s: float
    ) -> tuple[Snapshot, tuple[Finding, ...]]:
        """Add who is behind the findings, where that can be found out; never raises."""
        inquirer, settings = self._inquirer, self.settings
        if inquirer is None:
            return snapshot, findings
        outcome = self._run_inquiry.run(
            lambda: Answer(inquirer.examine(findings, snapshot, settings), "kernel")
        )
        inquiry = None
        if outcome.value is not None:
            findings, inquiry = outcome.value
        elif outcome.failure and any(finding.breached for finding in findings):
            inquiry = Inquiry(failure=outcome.failure.reason)
        cost = replace(snapshot.cost, total_ms=(time.monotonic() - started_s) * 1e3)
        if inquiry is not None:
            cost = replace(cost, collectors_ms={**cost.collectors_ms, "culprits": outcome.ms})
        return replace(snapshot, cost=cost, inquiry=inquiry), findings

    def observe_interfaces(self) -> Outcome[tuple[Interface, ...]]:
        """Interfaces, with rates since the observation before; never raises."""
        exclude, reported, last = self.settings.exclude_interfaces, self._reported, self._links

        def work(way: Readers) -> _Sampled[LinkReading, tuple[Interface, ...]]:
            reading = way.links()
            before = last.value if last and last.reader == way.name else None
            return _Sampled(reading, interfaces.observe(before, reported, reading, exclude))

        outcome = self._run_interfaces.run(lambda: first_answer(self._readers, work))
        if outcome.value is None or outcome.reader is None:
            return Outcome(None, outcome.failure, outcome.ms)
        self._links = Answer(outcome.value.reading, outcome.reader)
        return Outcome(outcome.value.seen, None, outcome.ms, outcome.reader)

    def observe_connections(self) -> Outcome[Connections]:
        """Connections by state; never raises."""
        return self._run_connections.run(lambda: first_answer(self._readers, lambda way: way.connections()))

    def observe_processes(self) -> Outcome[tuple[RankedProcess, ...]]:
        """The busiest processes since the observation before; never raises."""
        count, last = self.settings.top_n_procs, self._processes

        def work(way: Readers) -> _Sampled[ProcessReading, tuple[RankedProcess, ...]]:
            reading = way.processes()
            before = last.value if last and last.reader == way.name else None
            found = processes.candidates(before, reading, count)
            details = way.process_details([p.sample.pid for p in found])
            return _Sampled(reading, processes.top(found, details, count))

        outcome = self._run_processes.run(lambda: first_answer(self._readers, work))
        if outcome.value is None or outcome.reader is None:
            return Outcome(None, outcome.failure, outcome.ms)
        self._processes = Answer(outcome.value.reading, outcome.reader)
        return Outcome(outcome.value.seen, None, outcome.ms, outcome.reader)

    def observe_protocols(self) -> Outcome[Protocols] | None:
        """The protocols since the observation before; ``None`` where they cannot be read; never raises."""
        way = next((way for way in self._readers if way.protocols), None)
        if way is None or way.protocols is None:
            return None
        read, reader, last = way.protocols, way.name, self._protocols
        with_ports = self.settings.ephemeral_port_threshold_percent is not None

        def work() -> Answer[_Sampled[ProtocolReading, Protocols]]:
            reading = read(with_ports)
            return Answer(_Sampled(reading, kernel.observe(last, reading)), reader)

        outcome = self._run_protocols.run(work)
        if outcome.value is None:
            return Outcome(None, outcome.failure, outcome.ms)
        self._protocols = outcome.value.reading
        return Outcome(outcome.value.seen, None, outcome.ms, outcome.reader)
