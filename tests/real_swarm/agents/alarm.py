"""A node for tests: records each alert that would leave the swarm by mail or chat."""

import json
import os

from matrixswarm.core.boot_agent import BootAgent
from matrixswarm.core.utils.swarm_sleep import interruptible_sleep


class Agent(BootAgent):
    """Writes ``alerts.jsonl`` into its own comm folder."""

    def worker(self, config=None, identity=None):
        interruptible_sleep(self, 1)

    def cmd_send_alert_msg(self, content, packet, identity=None):
        path = os.path.join(self.path_resolution["comm_path_resolved"], "alerts.jsonl")
        with open(path, "a") as file:
            file.write(json.dumps(content) + "\n")


if __name__ == "__main__":
    Agent().boot()
