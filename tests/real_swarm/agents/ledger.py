"""A node for tests of delivery: writes down each report that its listener reads, and each that it handles.

The framework removes a packet before it calls the handler, so a node that is killed in between has got a
report that it never handles. A line is written by one system call: a kill cannot tear it.
"""

import os

from matrixswarm.core.boot_agent import BootAgent
from matrixswarm.core.utils.swarm_sleep import interruptible_sleep


class Agent(BootAgent):
    """Writes ``ledger`` into its own comm folder: event, pid, report id, timestamp, severity."""

    def __init__(self):
        super().__init__()
        path = os.path.join(self.path_resolution["comm_path_resolved"], "ledger")
        self.ledger = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def worker(self, config=None, identity=None):
        interruptible_sleep(self, 1)

    def get_reception_agent(self, *args, **kwargs):
        agent = super().get_reception_agent(*args, **kwargs)
        receive = agent.receive

        def receive_and_note():
            packet = receive()
            if packet is not None:
                self.note("read", packet.get_packet().get("content"))
            return packet

        agent.receive = receive_and_note
        return agent

    def cmd_ingest_status_report(self, content, packet, identity=None):
        self.note("handled", content)

    def note(self, event, content):
        if isinstance(content, dict) and "metrics" in content:
            fields = (event, os.getpid(), content["metrics"]["report_id"], content["timestamp"])
            os.write(self.ledger, f"{' '.join(map(str, fields))} {content['severity']}\n".encode())


if __name__ == "__main__":
    Agent().boot()
