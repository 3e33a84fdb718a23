"""A node for tests: records each report that it receives, and the key to an encrypted swarm's logs."""

import json
import os

from matrixswarm.core.boot_agent import BootAgent
from matrixswarm.core.utils.swarm_sleep import interruptible_sleep


class Agent(BootAgent):
    """Writes ``caught.jsonl`` and ``swarm_key`` into its own comm folder."""

    def __init__(self):
        super().__init__()
        with open(self.own("swarm_key"), "w") as file:
            file.write(self.swarm_key)

    def own(self, name):
        return os.path.join(self.path_resolution["comm_path_resolved"], name)

    def worker(self, config=None, identity=None):
        interruptible_sleep(self, 1)

    def cmd_ingest_status_report(self, content, packet, identity=None):
        with open(self.own("caught.jsonl"), "a") as file:
            file.write(json.dumps(content) + "\n")


if __name__ == "__main__":
    Agent().boot()
