"""Shared by the tests of the outbox: receivers that accept or refuse reports, and a process to kill."""

import json
import os
import random
import sys
from pathlib import Path

from network_health.delivery.outbox import Outbox

AGENT, BOOT = "watch-1", "0c4d1f2e-8a43-4b6e-9d57-1f2e3a4b5c6d"


def report(number, severity="WARNING", size=0):
    """The content of a report, with a number to recognize it by."""
    metrics = {"number": number, "padding": "x" * size}
    return {"source_agent": "NetworkHealthMonitor", "severity": severity, "metrics": metrics}


class Nodes:
    """Receivers: each accepts reports unless it is ``down``; one in ``denying`` accepts but answers no."""

    def __init__(self, *names):
        self.names = names
        self.down = set()
        self.denying = set()
        self.got = {name: [] for name in names}
        self.attempts = []

    def send(self, name, content):
        """Send a report to a node, as the agent does: True when the node has it."""
        self.attempts.append(name)
        if name in self.down:
            return False
        self.got[name].append(content)
        return name not in self.denying

    def numbers(self, name):
        """The numbers of the reports that a node has received, in order."""
        return [content["metrics"]["number"] for content in self.got[name]]

    def ids(self, name):
        """The ids of the reports that a node has received, in order."""
        return [content["metrics"]["report_id"] for content in self.got[name]]


def without_repeats(numbers):
    """Each number once, at its first place."""
    return list(dict.fromkeys(numbers))


def outbox(folder, log, **options):
    """An outbox with the agent's arguments."""
    return Outbox(folder, agent=AGENT, boot_id=BOOT, log=log, **options)


def run_until_killed(folder, first_number, seed):
    """Add alerts, an INFO after each, and deliver them to two unreliable nodes.

    Each line in ``events`` is one added alert.
    """
    rng, events = random.Random(seed), os.open(folder / "events", os.O_WRONLY | os.O_APPEND)
    box = outbox(folder / "queue", lambda line: None)

    def send(node, content):
        if rng.random() < 0.3:
            return False
        with open(folder / node, "a") as received:
            received.write(json.dumps(content["metrics"]["number"]) + "\n")
        return True

    for number in range(first_number, first_number + 100_000):
        if len(box) < 50:
            box.add(report(number, size=rng.randrange(20_000)), ["a", "b"] if rng.random() < 0.8 else [])
            os.write(events, f"{number}\n".encode())
            box.add(report(number + 0.5, "INFO"), ["a", "b"])
        box.deliver(send, ["a", "b"])


if __name__ == "__main__":
    run_until_killed(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
