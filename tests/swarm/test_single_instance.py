"""Of two processes of an agent one works, and the other takes over when it dies."""

import fcntl
import os
import signal
import subprocess
import sys

import pytest

from network_health.swarm import SingleInstance, single_instance
from network_health.swarm.single_instance import LOCK, SETTLE_S
from tests.port import port_agent

HOLDER = """
import sys, time
from pathlib import Path
from network_health.swarm import SingleInstance
held = SingleInstance(Path(sys.argv[1]), print)
print(held.acquire(), flush=True)
time.sleep(60)
"""
#: What an unprivileged user can do with a file that it may open.
STRANGER = """
import fcntl, os, sys, time
os.setuid(int(sys.argv[2]))
fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_SH)
print(True, flush=True)
time.sleep(60)
"""
RUNS = "Another process of this agent is running: this one waits until that one has ended."


class Lock:
    """A lock with a clock of its own; ``logged`` are its lines with their levels."""

    def __init__(self, folder):
        self.now_s, self.logged = 0.0, []
        self.instance = SingleInstance(
            folder, lambda m, level: self.logged.append((level, m)), lambda: self.now_s
        )


class Child:
    """A process that has the lock while this is entered."""

    def __init__(self, script, path, uid=None):
        command = [sys.executable, "-c", script, path, str(os.geteuid() if uid is None else uid)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def __enter__(self):
        self.says = self.process.stdout.readline()
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def test_the_right_ends_with_its_process(tmp_path):
    """While another process has it it is not to be had; that one killed, it is."""
    mine = Lock(tmp_path)
    with Child(HOLDER, tmp_path) as child:
        assert child.says == "True\n"
        for mine.now_s in (0, SETTLE_S, 10 * SETTLE_S):
            assert not mine.instance.acquire()
    assert mine.logged == [("INFO", RUNS)]
    assert [mine.instance.acquire(), mine.instance.acquire()] == [True, True]
    assert not Lock(tmp_path).instance.acquire()
    assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o600


@pytest.mark.root
def test_no_other_user_can_take_the_lock(tmp_path):
    """The folder can be opened by everyone, and locked; the file cannot."""
    tmp_path.chmod(0o755)
    for parent in (tmp_path, *tmp_path.parents[:-2]):
        parent.chmod(parent.stat().st_mode | 0o055)
    with Child(STRANGER, tmp_path, uid=65534) as folder:
        assert folder.says == "True\n"
        assert Lock(tmp_path).instance.acquire()
    with Child(STRANGER, tmp_path / LOCK, uid=65534) as file:
        assert file.says == ""


@pytest.mark.parametrize("record", [b"", b"1 1", b"4194305 7", b"x"])
def test_a_strange_process_with_the_lock_is_logged(tmp_path, record):
    """Neither a file that says nothing nor one that names another process makes it one of this agent's."""
    (tmp_path / LOCK).write_bytes(record)
    (tmp_path / LOCK).chmod(0o600)
    mine = Lock(tmp_path)
    with Child(STRANGER, tmp_path / LOCK):
        for mine.now_s in (0, SETTLE_S - 1, SETTLE_S, SETTLE_S + 1):
            assert not mine.instance.acquire()
    line = (
        f"Another program has locked {tmp_path / LOCK}: this agent makes no checks until that process has "
        "ended. The command lslocks shows it"
    )
    assert mine.logged == [("WARNING", line)]
    assert mine.instance.acquire()


def plant_link(path):
    path.with_name("victim").write_text("mine")
    path.symlink_to(path.with_name("victim"))


def plant_second_name(path):
    path.with_name("victim").write_text("mine")
    path.hardlink_to(path.with_name("victim"))


@pytest.mark.parametrize(
    "plant", [plant_link, plant_second_name, os.mkfifo, os.mkdir], ids=lambda f: f.__name__
)
def test_what_is_planted_at_its_name_is_not_touched(tmp_path, plant):
    """A link, a file with another name, a FIFO, a folder: work goes on, and the log says why."""
    plant(tmp_path / LOCK)
    mine = Lock(tmp_path)
    assert mine.instance.acquire()
    ((level, line),) = mine.logged
    assert level == "WARNING"
    assert line.startswith(f"The lock {tmp_path / LOCK} cannot be used (")
    victim = tmp_path / "victim"
    assert not victim.exists() or victim.read_text() == "mine"


def test_what_cannot_be_locked_stops_nobody(tmp_path, monkeypatch):
    """No folder, a file system without locks, a system without them: work goes on."""
    missing = Lock(tmp_path / "missing")
    assert [missing.instance.acquire(), missing.instance.acquire()] == [True, True]
    assert len(missing.logged) == 1

    def refuse(handle, operation):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert Lock(tmp_path).instance.acquire()
    monkeypatch.setattr(single_instance, "fcntl", None)
    assert Lock(tmp_path).instance.acquire()


def test_a_second_agent_waits_for_the_end_of_the_first(tmp_path):
    """It neither checks nor takes a number before, says so, and then goes on where the first has ended."""
    first = port_agent(tmp_path, {}, ["forensic-1"])
    first.worker()
    second = port_agent(tmp_path, {}, ["forensic-1"])
    assert second.service is None
    assert second.logged == ["NetworkHealthMonitor initialized.", RUNS]
    first.send_status_report("healthy", "INFO", "all well")
    os.close(first.instance._handle)
    second.worker()
    ids = [packet["content"]["metrics"]["report_id"] for _, packet in first.sent + second.sent]
    assert [report_id[-1] for report_id in ids] == ["1", "2", "3"]
    assert len({report_id[:-1] for report_id in ids}) == 1
