"""A node for tests: records each report that it receives, and passes on the packets in ``orders/``."""

import json
import os
import sys

sys.path.insert(0, os.environ["SITE_ROOT"])

from core.python_core.boot_agent import BootAgent
from core.python_core.utils.swarm_sleep import interruptible_sleep


class Agent(BootAgent):
    """An order is a file: ``{"to": uid, "drop": folder, "packet": type, "data": {...}}``."""

    def worker(self, config=None, identity=None):
        orders = self.own("orders")
        os.makedirs(orders, exist_ok=True)
        for name in sorted(name for name in os.listdir(orders) if name.endswith(".order")):
            path = os.path.join(orders, name)
            with open(path) as file:
                order = json.load(file)
            packet = self.get_delivery_packet(order["packet"])
            packet.set_data(order["data"])
            if self.pass_packet(packet, order["to"], order["drop"]):
                os.remove(path)
        interruptible_sleep(self, 0.5)

    def own(self, name):
        return os.path.join(self.path_resolution["comm_path_resolved"], name)

    def cmd_catch(self, content, packet, identity=None):
        with open(self.own("caught.jsonl"), "a") as file:
            file.write(json.dumps(content) + "\n")


if __name__ == "__main__":
    Agent().boot()
