"""Of two processes of an agent one works, and the other takes over when it dies."""

import fcntl
import os
import signal
import subprocess
import sys

from network_health.swarm import SingleInstance, single_instance
from tests.port import port_agent

HOLDER = """
import sys, time
from pathlib import Path
from network_health.swarm import SingleInstance
held = SingleInstance(Path(sys.argv[1]))
print(held.acquire(), flush=True)
time.sleep(60)
"""


def test_the_right_ends_with_its_process(tmp_path):
    """While another process has it it is not to be had; that one killed, it is."""
    child = subprocess.Popen([sys.executable, "-c", HOLDER, tmp_path], stdout=subprocess.PIPE, text=True)
    try:
        assert child.stdout.readline() == "True\n"
        mine = SingleInstance(tmp_path)
        assert not mine.acquire()
    finally:
        child.send_signal(signal.SIGKILL)
        child.communicate()
    assert mine.acquire()
    assert mine.acquire()
    assert not SingleInstance(tmp_path).acquire()


def test_what_cannot_be_locked_stops_nobody(tmp_path, monkeypatch):
    """No folder, a folder that is a file system without locks, a system without them: work goes on."""
    assert SingleInstance(tmp_path / "missing").acquire()

    def refuse(handle, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert SingleInstance(tmp_path).acquire()
    monkeypatch.setattr(single_instance, "fcntl", None)
    assert SingleInstance(tmp_path).acquire()


def test_a_second_agent_waits_for_the_end_of_the_first(tmp_path):
    """It neither checks nor takes a number before, says so, and then goes on where the first has ended."""
    first = port_agent(tmp_path, {}, ["forensic-1"])
    first.worker()
    second = port_agent(tmp_path, {}, ["forensic-1"])
    assert second.service is None
    assert [line for line in second.logged if "Another process of this agent" in line] == second.logged
    first.send_status_report("healthy", "INFO", "all well")
    os.close(first.instance._handle)
    second.worker()
    ids = [packet["content"]["metrics"]["report_id"] for _, packet in first.sent + second.sent]
    assert [report_id[-1] for report_id in ids] == ["1", "2", "3"]
    assert len({report_id[:-1] for report_id in ids}) == 1
