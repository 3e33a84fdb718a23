"""The memory of many checks: it does not grow while sockets, processes and interfaces come and go."""

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from itertools import pairwise

import pytest

from network_health import Monitor, Settings
from network_health.sources.linux import owners
from tests.tree import ROOT

pytestmark = pytest.mark.root

#: After so many checks the memory is measured: after a warm-up, and after periods of equal length.
MEASURED = (60, 260, 460, 660)
#: A host of its own: each process of another test that is seen takes eight blocks while it runs.
ALONE = ("unshare", "--net", "--pid", "--fork", "--mount-proc", sys.executable, "-c")
MEASURE = "from tests.real_kernel import test_soak; print(test_soak.left_blocks())"
#: Python keeps some objects for later use, once. One that each check leaves would be 200 in each period.
SLACK_BLOCKS = 150
#: So that what is remembered of owners reaches its maximum within the warm-up.
KEPT = 10
SETTINGS = {
    "conn_threshold": 5,
    "tx_threshold_mbps": 0.01,
    "rx_threshold_mbps": 0.01,
    "ephemeral_port_threshold_percent": 0.001,
    "process_network": "always",
}


class Churn:
    """Sockets, processes and interfaces that come and go; the same number of them at each check."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.sockets, self.processes, self.links = [], [], []
        self.steps = 0

    def step(self):
        """Replace the oldest of everything, and send something."""
        self.steps += 1
        for _ in range(3):
            client, accepted = self._connection()
            client.send(bytes(20_000))
            self.sockets += [client, accepted]
        while len(self.sockets) > 20:
            self.sockets.pop(0).close()
        self.processes.append(self._process())
        if len(self.processes) > 4:
            self._end(self.processes.pop(0))
        if self.steps % 10 == 0:
            self.links.append(f"v{self.steps}")
            _ip("link", "add", self.links[-1], "type", "veth", "peer", "name", f"{self.links[-1]}p")
            if len(self.links) > 3:
                _ip("link", "del", self.links.pop(0))

    def end(self):
        """End every process."""
        for pid in self.processes:
            self._end(pid)

    def _connection(self):
        client = socket.create_connection(self.server.getsockname())
        return client, self.server.accept()[0]

    def _process(self):
        client, accepted = self._connection()
        pid = os.fork()
        if pid == 0:
            with open("/proc/self/comm", "w") as comm:
                comm.write(f"churn-{self.steps}")
            client.send(bytes(20_000))
            signal.pause()
        client.close()
        self.sockets.append(accepted)
        return pid

    @staticmethod
    def _end(pid):
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _ip(*words):
    subprocess.run(["ip", *words], check=True)


def left_blocks():
    """How many of Python's blocks of memory each period left in use at least."""
    _ip("link", "set", "lo", "up")
    owners._MAX_KEPT = KEPT
    monitor, churn = Monitor(Settings.from_mapping(SETTINGS)), Churn()
    in_use = []
    for number in range(1, MEASURED[-1] + 1):
        churn.step()
        json.dumps(monitor.check().as_content())
        if number in MEASURED:
            gc.collect()
            in_use.append(sys.getallocatedblocks())
    churn.end()
    return min(after - before for before, after in pairwise(in_use))


def test_memory_levels_off():
    """Two hundred checks with findings, culprits and everything new leave no more memory in use."""
    done = subprocess.run([*ALONE, MEASURE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < SLACK_BLOCKS
