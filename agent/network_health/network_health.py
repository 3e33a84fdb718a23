"""The network_health agent: what the swarm launches. Everything it knows is in the library.

Powered by MatrixSwarm - https://github.com/matrixswarm/matrixswarm

The swarm sends the output of an agent to nowhere and starts one that died again and again, so nothing
here may raise at import or in ``__init__``: what is wrong is said in ``agent.log``.
"""

import contextlib
import os
import sys
import time
from pathlib import Path

from matrixswarm.core.boot_agent import BootAgent

try:
    from network_health import Monitor, Settings, SettingsOutcome
    from network_health.delivery import Outbox, SavedCounters, Schedule
    from network_health.export import Exporter
    from network_health.reporting import Report, connection_metrics, interface_metrics, process_metrics
    from network_health.sources import boot_id
    from network_health.swarm import (
        OrderedDelivery,
        SingleInstance,
        detective_nodes,
        difference,
        refusal,
        unwrap,
    )
except ImportError as error:
    MISSING = error
else:
    MISSING = None

#: The framework may leave this long between two calls of worker(); checks closer than that share a call.
LONGEST_PAUSE_S = 10
#: A role can be unknown for this long after a boot although a node holds it.
ROLES_SETTLE_S = 30
#: With more reports than this waiting, none waits for the one before to be taken.
BACKLOG = 50
#: How the framework's log lines about a single packet begin.
PACKET_LINES = ("Packet passed to ", "[PASS-PACKET]", "Failed during pass_packet")


class Agent(BootAgent):
    """Watches the host's network and reports to every node that holds the role."""

    def __init__(self):
        super().__init__()
        self.name = "NetworkHealthMonitor"
        self.beacon = self.check_for_thread_poke("worker")
        self.started_s = time.monotonic()
        self.monitor = None
        self.told = set()
        if MISSING is not None:
            self.log(
                f"The library of this agent cannot be imported ({MISSING}), so nothing is checked. "
                f"Install it: {sys.executable} -m pip install matrixswarm-network-health, "
                "or in place of that name the path of its checkout or wheel",
                level="ERROR",
            )
            return
        self.queue = Path(self.path_resolution["comm_path_resolved"], "queue")
        self.sole = SingleInstance(self.queue)
        if self.sole.holds():
            self.begin()
        else:
            self.log("Another process of this agent is at work: this one begins when that has ended.")

    def begin(self):
        """Take up what the process before has left."""
        outcome = SettingsOutcome.of(self.tree_node.get("config", {}))
        for mistake in outcome.errors + outcome.warnings:
            self.warn(f"Setting {mistake}")
        uid, boot = self.command_line_args["universal_id"], boot_id()
        self.outbox = Outbox(self.queue, agent=uid, boot_id=boot, log=self.warn)
        self.saved_marks = SavedCounters(self.queue / "network-health-counters.json", boot, self.warn)
        self.turns = OrderedDelivery(Path(self.path_resolution["comm_path"]))
        self.monitor = Monitor(outcome.settings, reported=self.saved_marks.load())
        self.monitor.settings_errors = outcome.errors
        self.exporter = Exporter(self.log, self.warn)
        self.schedule = Schedule(self.started_s + 1, outcome.settings.check_interval_sec)
        self.config_path = os.path.join(self.path_resolution["comm_path_resolved"], "config")
        self.config_seen = None
        self.config_awaited = False
        self.has_reported = False

    def warn(self, message):
        """One line for the operator."""
        self.log(message, level="WARNING")

    def worker(self, config=None, identity=None):
        """Obey a pushed config, then make the check that is due; returns early when a config waits."""
        if self.monitor is None:
            self.idle()
            return
        self.reconfigure(config, identity)
        while self.wait_until_due():
            self.schedule.started(time.monotonic())
            result = self.exporter.publish(self.monitor.check(), self.monitor.settings)
            for change in result.changes:
                level = change.partition(":")[0]
                self.log(change, level=level if level in ("WARNING", "CRITICAL") else "INFO")
            if result.due:
                self.send_status_report(
                    result.status, result.severity, result.details, result.metrics, result.timestamp
                )
            self.saved_marks.save(self.monitor.reported)
            if self.monitor.settings.check_interval_sec > LONGEST_PAUSE_S:
                return

    def idle(self):
        """Stay alive until it may begin, without the library for ever: a dead agent would be respawned."""
        while self.running:
            if MISSING is None and self.sole.holds():
                self.begin()
                return
            self.beacon()
            time.sleep(1)

    def wait_until_due(self):
        """Wait in slices of a second; False when the agent ends or a config waits to be handed over."""
        while self.running:
            self.beacon()
            if self.config_waits():
                return False
            remaining_s = self.schedule.due_s - time.monotonic()
            if remaining_s <= 0:
                return True
            if len(self.outbox):
                self.deliver()
            self.turns.remind()
            time.sleep(min(1.0, max(0.01, remaining_s)))
        return False

    def config_waits(self):
        """Whether a file came into the drop zone that the framework was not yet given the chance to read."""
        arrived = self.config_files()
        if arrived is None or arrived == self.config_seen:
            return False
        self.config_seen = arrived
        self.config_awaited = True
        return True

    def config_files(self):
        """When the drop zone last changed, if a packet lies in it; else None."""
        try:
            if any(name.endswith(".json") for name in os.listdir(self.config_path)):
                return os.stat(self.config_path).st_mtime_ns
        except OSError:
            pass  # no drop zone, no packet
        return None

    def reconfigure(self, config, identity):
        """Apply a pushed config whole or not at all; one log line says which."""
        awaited, self.config_awaited = self.config_awaited, False
        if not config:
            # What is still there was only being written when the framework looked: it is handed over next.
            if awaited and self.config_files() is None:
                self.warn("Live config refused: the framework could not verify or read it.")
            return
        refused = refusal(identity, encrypted=self.encryption_enabled)
        if refused:
            self.warn(f"Live config refused: {refused}.")
            return
        outcome = SettingsOutcome.of(unwrap(config), self.monitor.settings)
        if outcome.errors:
            self.monitor.settings_errors = outcome.errors
            self.warn(f"Live config refused: {'; '.join(outcome.errors)}")
            return
        for mistake in outcome.warnings:
            self.warn(f"Setting {mistake}")
        before = self.monitor.settings
        self.monitor.settings, self.monitor.settings_errors = outcome.settings, ()
        self.schedule.change_interval(outcome.settings.check_interval_sec)
        self.log(f"Live config applied: {difference(before, outcome.settings)}")
        self.exporter.apply(outcome.settings)

    def send_status_report(self, status, severity, details, metrics=None, timestamp=None):
        """Report to every node that holds the role; what cannot be delivered now waits on disk.

        ``timestamp`` is when this was seen, epoch seconds; by default now. The framework calls whatever
        method a packet names, this one too, with the packet's parts: what is no report must not be queued.
        """
        if not all(isinstance(text, str) for text in (status, severity, details)):
            self.warn("A report refused: a packet named the method send_status_report.")
            return
        seen_at = time.time() if timestamp is None else timestamp
        content = Report(status, severity, details, metrics or {}, seen_at).as_content()
        # The first report says that the watch has begun: it waits until the role can be resolved.
        self.outbox.add(content, self.holders(), must_arrive=not self.has_reported)
        self.has_reported = True
        self.deliver()

    def deliver(self):
        """Hand over what waits, as far as the holders can be reached."""
        self.outbox.deliver(self.pass_report, self.holders())

    def pass_report(self, holder, content):
        """Pass one report to one node: whether it has it now, or None if it has to take another first."""
        if not self.running:  # a backlog takes seconds, and an agent that is to end must not
            return None
        self.beacon()
        packet = self.get_delivery_packet("standard.command.packet")
        packet.set_data({"handler": self.monitor.settings.report_handler, "content": content})
        in_a_hurry = len(self.outbox) > BACKLOG
        return self.turns.take(holder, lambda: self.pass_packet(packet, holder), in_a_hurry=in_a_hurry)

    def holders(self):
        """The universal_ids of the nodes that are to get the reports, as far as is known now."""
        role = self.monitor.settings.report_to_role
        nodes = [node["universal_id"] for node in self.get_nodes_by_role(role)]
        if nodes or role != Settings().report_to_role or time.monotonic() - self.started_s < ROLES_SETTLE_S:
            return nodes
        detectives = detective_nodes(self.path_resolution["comm_path"])
        if detectives:
            self.tell_once(
                f"No node holds the role {role!r}; reports go to {', '.join(detectives)}. To choose the "
                f'receiver, add to the config of its node: "service-manager": [{{"role": ["{role}"]}}]'
            )
        return detectives

    def tell_once(self, message):
        """Log a state that lasts once, not at every check."""
        if message not in self.told:
            self.told.add(message)
            self.warn(message)

    def log(self, msg="", *args, **kwargs):
        """Log as the framework does, but for its lines about every packet: the outbox tells what changes."""
        if msg.startswith(PACKET_LINES) and not self.debug.is_enabled():
            return
        caller = sys._getframe(1)
        kwargs.setdefault("custom_tail", f"[{caller.f_code.co_name.upper()}][L{caller.f_lineno}]")
        super().log(msg, *args, **kwargs)

    def check_for_thread_poke(self, *args, **kwargs):
        """The framework's beacon, which on a full disk would end the thread that it is to watch."""
        emit = super().check_for_thread_poke(*args, **kwargs)

        def emit_if_possible():
            with contextlib.suppress(OSError):
                emit()

        return emit_if_possible

    def emit_dead_poke(self, *args, **kwargs):
        """The framework's note of a failed cycle, which on a full disk must not end the agent."""
        with contextlib.suppress(OSError):
            super().emit_dead_poke(*args, **kwargs)

    def get_network_summary(self):
        """Interfaces, with rates since the observation before: ``{"interfaces": [...]}``."""
        return {"interfaces": interface_metrics(self.monitor.interfaces.run().value or ())}

    def get_conn_summary(self):
        """Connections: ``{"total_connections": int, "by_status": {str: int}}``."""
        connections = self.monitor.connections.run().value
        return connection_metrics(connections) if connections else {}

    def get_top_process_hogs(self):
        """The busiest processes since the observation before, at most ``top_n_procs``."""
        return process_metrics(self.monitor.processes.run().value or ())


if __name__ == "__main__":
    Agent().boot()
