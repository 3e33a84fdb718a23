"""What the tests of the outbox share: nodes that take or refuse reports, and a driver to be killed."""

import json
import os
import random
import sys
from pathlib import Path

from network_health.delivery.outbox import Outbox

AGENT, BOOT = "watch-1", "0c4d1f2e-8a43-4b6e-9d57-1f2e3a4b5c6d"


def report(number, severity="WARNING", size=0):
    """A report's content that says which one it is."""
    metrics = {"number": number, "padding": "x" * size}
    return {"source_agent": "NetworkHealthMonitor", "severity": severity, "metrics": metrics}


class Nodes:
    """Receivers: each takes what it is sent unless it is down; one may take it and deny it."""

    def __init__(self, *names):
        self.names = names
        self.down = set()
        self.denying = set()
        self.got = {name: [] for name in names}
        self.tries = []

    def send(self, name, content):
        """What the agent does to deliver: True when the node has it."""
        self.tries.append(name)
        if name in self.down:
            return False
        self.got[name].append(content)
        return name not in self.denying

    def numbers(self, name):
        """The numbers of the reports that a node has, as they came."""
        return [content["metrics"]["number"] for content in self.got[name]]

    def ids(self, name):
        """The ids of the reports that a node has, as they came."""
        return [content["metrics"]["report_id"] for content in self.got[name]]


def firsts(numbers):
    """Each number once, where it came first."""
    return list(dict.fromkeys(numbers))


def outbox(folder, log, **options):
    """An outbox as the agent makes it."""
    return Outbox(folder, agent=AGENT, boot_id=BOOT, log=log, **options)


def be_killed(folder, first_number, seed):
    """Add alerts and deliver them to two moody nodes until killed; each line written is one event."""
    rng, events = random.Random(seed), os.open(folder / "events", os.O_WRONLY | os.O_APPEND)
    box = outbox(folder / "queue", lambda line: None)

    def send(node, content):
        if rng.random() < 0.3:
            return False
        with open(folder / node, "a") as taken:
            taken.write(json.dumps(content["metrics"]["number"]) + "\n")
        return True

    for number in range(first_number, first_number + 100_000):
        if len(box) < 50:
            box.add(report(number, size=rng.randrange(20_000)), ["a", "b"] if rng.random() < 0.8 else [])
            os.write(events, f"{number}\n".encode())
        box.deliver(send, ["a", "b"])


if __name__ == "__main__":
    be_killed(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
