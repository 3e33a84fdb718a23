"""Does the work of one agent in a swarm: checks on schedule, reports, and applies pushed settings.

The framework calls ``worker`` repeatedly, at least 2 s apart, and reads the ``config/`` folder only between
two calls. So one call waits for the next check, and returns early when a config packet has come.

Guarantees: no error in the swarm's folders is raised. A report is on disk before it is sent. A check that is
due comes before a config packet.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from network_health.delivery import Outbox, SavedState, Schedule
from network_health.export import Exporter
from network_health.history import Recorder
from network_health.monitor import Monitor
from network_health.reporting import Report
from network_health.settings import SettingsOutcome
from network_health.sources import boot_id
from network_health.swarm.config_folder import ConfigFolder
from network_health.swarm.earlier_boot import STATE, continue_earlier_boot
from network_health.swarm.framework import Framework
from network_health.swarm.live_config import Identity, difference, origin, refusal, unwrap
from network_health.swarm.ordered_delivery import OrderedDelivery
from network_health.swarm.packet_gate import PacketGate
from network_health.swarm.receivers import Receivers

#: The framework may pause this long between two calls; at a shorter interval one call makes several checks.
_LONGEST_PAUSE_S = 10
#: With more waiting alerts than this, a report is sent before the previous one was taken: it would be lost.
_BACKLOG = 90


class Node(Protocol):
    """What the service needs of the agent that runs in the framework."""

    framework: Framework
    running: bool
    encryption_enabled: bool

    def log(self, msg: str = "", *, level: str = "INFO") -> None:
        """Write one line into the agent's log."""

    def beacon(self) -> None:
        """Show the framework that the worker is alive."""

    def nodes_of_role(self, role: str) -> Mapping[str, str | None]:
        """The handler of each node that has a role, by universal_id; ``None`` if the settings name it."""

    def send_status_report(
        self, status: str, severity: str, details: str, metrics: Mapping[str, Any], timestamp: float
    ) -> None:
        """Report to every receiver; a subclass of the agent may override it."""

    def pass_content(self, receiver: str, handler: str, content: dict[str, Any]) -> bool:
        """Pass one report to one node; true if the framework accepted it."""


class AgentService:
    """The work of one agent.

    Args:
        node: the agent, as the framework runs it.
        universal_id: the node's name, the first part of each report's id.
        comm: the swarm's folder of all nodes.
        folder: this node's own folder in it.
        config: the settings of the directive.
        gate: checks the packets that the framework reads.
    """

    def __init__(
        self, node: Node, universal_id: str, comm: Path, folder: Path, config: object, gate: PacketGate
    ) -> None:
        self._node = node
        self._gate = gate
        outcome = SettingsOutcome.of(config)
        for mistake in outcome.errors + outcome.warnings:
            self._warn(f"Setting {mistake}")
        queue, boot = folder / "queue", boot_id()
        continue_earlier_boot(comm, queue, node.log)
        self.outbox = Outbox(queue, agent=universal_id, boot_id=boot, log=self._warn)
        self._saved_state = SavedState(queue / STATE, boot, self._warn)
        self.monitor = Monitor(outcome.settings, saved=self._saved_state.load())
        #: A sentence for each value that is refused, by its key.
        self._refused = dict(outcome.refused)
        self.monitor.settings_errors = outcome.errors
        self._exporter = Exporter(node.log, self._warn)
        self._recorder = Recorder(queue, outcome.settings, node.log, self._warn)
        self._schedule = Schedule(time.monotonic() + 1, outcome.settings.check_interval_sec)
        self._delivery = OrderedDelivery(comm)
        self._receivers = Receivers(node.framework, node.nodes_of_role, comm, self._warn)
        self._config = ConfigFolder(folder / "config")
        self._has_reported = False
        self._served: set[str] = set()

    def work(self, config: Mapping[str, object] | None, identity: Identity | None) -> None:
        """Apply a pushed config, then make the next check; returns early when a config packet came."""
        self._reconfigure(config, identity)
        while self._wait_until_due():
            self._schedule.started(time.monotonic())
            self._check()
            if self.monitor.settings.check_interval_sec > _LONGEST_PAUSE_S:
                return

    def report(self, report: Report) -> None:
        """Queue a report for the receivers, and deliver what can be delivered now."""
        # The first report says that monitoring has started: it is kept until a receiver is known.
        self.outbox.add(report.as_content(), self._find_receivers(), durable=not self._has_reported)
        self._has_reported = True
        self._deliver()

    def _check(self) -> None:
        report = self._exporter.publish(self.monitor.check(), self.monitor.settings)
        for change in report.changes:
            level = change.partition(":")[0]
            self._node.log(change, level=level if level in ("WARNING", "CRITICAL") else "INFO")
        if report.due:
            self._node.send_status_report(
                report.status, report.severity, report.details, report.metrics, report.timestamp
            )
        self._saved_state.save(self.monitor.state)
        self._recorder.add(report)

    def _wait_until_due(self) -> bool:
        """Wait for the next check; false when the agent ends or a config packet came."""
        while self._node.running:
            self._node.beacon()
            self._gate.log_counts()
            remaining_s = self._schedule.due_s - time.monotonic()
            if remaining_s <= 0:
                return True
            self.monitor.sample()
            if not self._gate.is_flooded and self._config.has_new_packet():
                return False
            pause_s = 1.0
            if len(self.outbox):
                self._deliver()
                pause_s = self._delivery.pause_s()
            self._delivery.touch_waiting()
            time.sleep(min(pause_s, max(0.01, remaining_s)))
        return False

    def _reconfigure(self, config: Mapping[str, object] | None, identity: Identity | None) -> None:
        """Apply a pushed config completely or not at all, and log which.

        The framework keeps a value that was refused, and sends it again with each later push. Such a value
        refuses only the first push; later pushes are applied without it.
        """
        if not config:
            return
        refused = refusal(identity, encrypted=self._node.encryption_enabled)
        if refused:
            self._warn(f"Live config refused: {refused}.")
            return
        before, pushed = self.monitor.settings, unwrap(config)
        outcome = SettingsOutcome.of(pushed, before)
        known = set(self._refused.values())
        new = [error for error in outcome.errors if error not in known]
        if not new:
            valid_now = {*pushed, "config"}  # the last one, if the directive's block was none
            self._refused = {key: error for key, error in self._refused.items() if key not in valid_now}
        self._refused.update(outcome.refused)
        self.monitor.settings_errors = tuple(self._refused.values())
        asked_by = origin(encrypted=self._node.encryption_enabled)
        if new:
            self._warn(f"Live config refused: {'; '.join(new)} (pushed by {asked_by})")
            return
        self.monitor.settings = outcome.settings
        self._schedule.change_interval(outcome.settings.check_interval_sec)
        changes = [difference(before, outcome.settings)]
        changes += [f"ignored, because it was refused before: {error}" for error in outcome.errors]
        changes += outcome.warnings
        self._node.log(f"Live config applied: {'; '.join(changes)} (pushed by {asked_by})")
        self._exporter.apply(outcome.settings)
        self._recorder.apply(outcome.settings)

    def _deliver(self) -> None:
        self.outbox.deliver(self._send, self._find_receivers())

    def _send(self, receiver: str, content: dict[str, Any]) -> bool | None:
        """Pass one report to one node; ``None`` if it has to wait."""
        if not self._node.running:  # the agent ends, and delivering a backlog would take seconds
            return None
        self._node.beacon()
        handler = self._receivers.handler_of(receiver, self.monitor.settings.report_handler)
        if handler is None:
            return None
        passed = self._delivery.send(
            receiver,
            lambda: self._node.pass_content(receiver, handler, content),
            at_once=self._delivery.packets_at_once(
                self.monitor.settings.check_interval_sec, len(self.outbox)
            ),
            out_of_order=self.outbox.alerts > _BACKLOG,
        )
        if passed and receiver not in self._served:
            self._served.add(receiver)
            self._node.log(f"The first report was delivered to {receiver}")
        return passed

    def _find_receivers(self) -> list[str]:
        settings = self.monitor.settings
        return self._receivers.of(settings.report_to_role, settings.report_handler)

    def _warn(self, message: str) -> None:
        self._node.log(message, level="WARNING")
