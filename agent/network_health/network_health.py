"""The network_health agent: what the swarm launches. It connects the framework with the library.

Powered by MatrixSwarm - https://github.com/matrixswarm/matrixswarm

The swarm discards the output of an agent and restarts one that ended, again and again. So nothing here may
raise at import or in ``__init__``; errors are written to ``agent.log``.
"""

import contextlib
import os
import sys
import time
from pathlib import Path

try:
    from network_health import Report
    from network_health.reporting import connection_metrics, interface_metrics, process_metrics
    from network_health.swarm import AgentService, PacketGate, SingleInstance, framework_at, log_line
except ImportError as error:
    MISSING = error
else:
    MISSING = None

#: Only MatrixOS has its classes there; what can be imported does not decide. `framework_at` has the same
#: rule, but the library may be missing.
SITE_ROOT = Path(os.environ.get("SITE_ROOT") or "/").absolute()
if (SITE_ROOT / "core" / "python_core").is_dir():
    sys.path.insert(0, str(SITE_ROOT))
    from core.python_core.boot_agent import BootAgent
else:
    from matrixswarm.core.boot_agent import BootAgent

#: How the framework's log lines about a single packet begin.
PACKET_LINES = ("Packet passed to ", "[PASS-PACKET]", "Failed during pass_packet", "[UNIFIED][SKIP]")


class Agent(BootAgent):
    """Watches the host's network and reports to every node that has the role."""

    HANDLERS = ()  # the methods that a command packet may name

    def __init__(self):
        super().__init__()
        self.name = "NetworkHealthMonitor"
        self.framework = None if MISSING else framework_at(SITE_ROOT)
        self.beacon = self.check_for_thread_poke("worker", **({} if MISSING else self.framework.beacon))
        self.service = None
        if MISSING is not None:
            self.log(
                f"The library of this agent cannot be imported ({MISSING}), so nothing is checked. "
                f"Install it: {sys.executable} -m pip install matrixswarm-network-health, "
                "or in place of that name the path of its checkout or wheel",
                level="ERROR",
            )
            return
        self.folder = Path(self.path_resolution["comm_path_resolved"])
        encrypted = self.encryption_enabled
        self.gate = PacketGate(self.folder, self.warn, encrypted=encrypted, handlers=self.HANDLERS)
        self.instance = SingleInstance(self.folder / "queue", self.log)
        self.log("NetworkHealthMonitor initialized.")
        self.start()

    def start(self):
        """Begin the service, unless another process of this agent is running."""
        if MISSING is None and self.instance.acquire():
            uid = self.command_line_args["universal_id"]
            comm, config = Path(self.path_resolution["comm_path"]), self.tree_node.get("config", {})
            self.service = AgentService(self, uid, comm, self.folder, config, self.gate)

    def worker(self, config=None, identity=None):
        """Apply a pushed config, then make the check that is due; returns early when a config came."""
        while self.service is None and self.running:  # an agent that ended would be restarted
            self.beacon()
            time.sleep(1)
            self.start()
        if self.service is not None:
            self.service.work(config, identity)

    def send_status_report(self, status, severity, details, metrics=None, timestamp=None):
        """Report to every node that has the role; what cannot be delivered now waits on disk.

        ``timestamp`` is the time of the observation, epoch seconds; by default now.
        """
        seen_at = time.time() if timestamp is None else timestamp
        self.service.report(Report(status, severity, details, metrics or {}, seen_at))

    def get_network_summary(self):
        """Interfaces, with rates since the observation before: ``{"interfaces": [...]}``."""
        return {"interfaces": interface_metrics(self.service.monitor.interfaces.run().value or ())}

    def get_conn_summary(self):
        """Connections: ``{"total_connections": int, "by_status": {str: int}}``."""
        connections = self.service.monitor.connections.run().value
        return connection_metrics(connections) if connections else {}

    def get_top_process_hogs(self):
        """The busiest processes since the observation before, at most ``top_n_procs``."""
        return process_metrics(self.service.monitor.processes.run().value or ())

    def nodes_of_role(self, role):
        """The handler of each node that has a role, by universal_id; ``None`` if the settings name it."""
        return self.framework.receivers(self.get_nodes_by_role(role))

    def pass_content(self, receiver, handler, content):
        """Pass one report to one node; whether the framework says that it did."""
        packet = self.get_delivery_packet("standard.command.packet")
        packet.set_data({"handler": handler, "content": content})
        return self.pass_packet(packet, receiver)

    def get_reception_agent(self, *args, **kwargs):
        """The framework's reader of packets; it returns no packet that this agent refuses."""
        reader = super().get_reception_agent(*args, **kwargs)
        return reader if MISSING else self.gate.guard(reader)

    def packet_listener(self):
        """The framework's listener; without the library nothing could refuse a packet, so none is read."""
        if MISSING is None:
            super().packet_listener()

    def warn(self, msg):
        """Log a warning."""
        self.log(msg, level="WARNING")

    def log(self, msg="", *args, **kwargs):
        """Log as the framework does, but one line of bounded length, and no line for each packet."""
        if msg.startswith(PACKET_LINES) and not self.debug.is_enabled():
            return
        caller = sys._getframe(1)
        kwargs.setdefault("custom_tail", f"[{caller.f_code.co_name.upper()}][L{caller.f_lineno}]")
        super().log(msg if MISSING else log_line(msg), *args, **kwargs)

    def check_for_thread_poke(self, *args, **kwargs):
        """The framework's beacon, which on a full disk would end the thread that it watches."""
        emit = super().check_for_thread_poke(*args, **kwargs)

        def emit_if_possible():
            with contextlib.suppress(OSError):
                emit()

        return emit_if_possible

    def emit_dead_poke(self, *args, **kwargs):
        """The framework's note of a failed cycle, which on a full disk must not end the agent."""
        with contextlib.suppress(OSError):
            super().emit_dead_poke(*args, **kwargs)


if __name__ == "__main__":
    Agent().boot()
