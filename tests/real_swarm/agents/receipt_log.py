"""A node for tests of delivery: records each report that its listener reads and that its handler gets.

The framework removes a packet before it calls the handler, so a node that is killed in between has read a
report without handling it. Each line is written by one system call, so a kill cannot split it.
"""

import os

from matrixswarm.core.boot_agent import BootAgent
from matrixswarm.core.utils.swarm_sleep import interruptible_sleep


class Agent(BootAgent):
    """Writes ``receipt_log`` into its own comm folder: event, pid, report id, timestamp, severity."""

    def __init__(self):
        super().__init__()
        path = os.path.join(self.path_resolution["comm_path_resolved"], "receipt_log")
        self.receipts = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def worker(self, config=None, identity=None):
        interruptible_sleep(self, 1)

    def get_reception_agent(self, *args, **kwargs):
        agent = super().get_reception_agent(*args, **kwargs)
        receive = agent.receive

        def receive_and_record():
            packet = receive()
            if packet is not None:
                self.write_line("read", packet.get_packet().get("content"))
            return packet

        agent.receive = receive_and_record
        return agent

    def cmd_ingest_status_report(self, content, packet, identity=None):
        self.write_line("handled", content)

    def write_line(self, event, content):
        if isinstance(content, dict) and "metrics" in content:
            fields = (event, os.getpid(), content["metrics"]["report_id"], content["timestamp"])
            os.write(self.receipts, f"{' '.join(map(str, fields))} {content['severity']}\n".encode())


if __name__ == "__main__":
    Agent().boot()
