"""A node for tests: sends the packets that a test writes to ``orders/``."""

import json
import os

from matrixswarm.core.boot_agent import BootAgent
from matrixswarm.core.utils.swarm_sleep import interruptible_sleep


class Agent(BootAgent):
    """An order is a file: ``{"to": uid, "drop": folder, "packet": type, "data": {...}}``."""

    def worker(self, config=None, identity=None):
        orders = os.path.join(self.path_resolution["comm_path_resolved"], "orders")
        os.makedirs(orders, exist_ok=True)
        for name in sorted(os.listdir(orders)):
            if not name.endswith(".order"):
                continue
            path = os.path.join(orders, name)
            with open(path) as file:
                order = json.load(file)
            packet = self.get_delivery_packet(order["packet"])
            packet.set_data(order["data"])
            if self.pass_packet(packet, order["to"], order["drop"]):
                os.remove(path)
        interruptible_sleep(self, 1)


if __name__ == "__main__":
    Agent().boot()
