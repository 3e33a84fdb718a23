"""The recorder when the disk or the file fails: reports go on, and two lines in the log say so."""

import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from network_health import Settings
from network_health.history import Store, writer
from tests.history.agent import DEADLINE_S, Agent, problem_in, solved_in
from tests.history.kept import FIRST, rows, times, whole_report


def test_reports_are_kept(agent):
    """With history: true, in the agent's own folder, and nothing is logged."""
    for _ in range(3):
        agent.check()
    assert times(agent.path) == [FIRST, FIRST + 30, FIRST + 60]
    assert (agent.log, agent.warnings) == ([], [])


def test_nothing_is_written_if_it_is_off(tmp_path):
    """No file and no thread."""
    before = threading.active_count()
    agent = Agent(tmp_path, history=False)
    agent.check()
    assert os.listdir(tmp_path) == []
    assert threading.active_count() == before


def test_it_can_be_turned_on_and_off_and_moved(tmp_path):
    """By new settings, while the agent runs; the file stays."""
    agent = Agent(tmp_path, history=False)
    agent.check()
    agent.recorder.apply(Settings(history=True))
    agent.check()
    agent.recorder.apply(Settings(history=str(tmp_path / "other.sqlite")))
    agent.check()
    agent.recorder.apply(Settings())
    agent.check()
    assert times(agent.path) == [FIRST + 30]
    until_s = time.monotonic() + DEADLINE_S
    while not (tmp_path / "other.sqlite").exists() and time.monotonic() < until_s:
        time.sleep(0.01)
    assert times(tmp_path / "other.sqlite") == [FIRST + 60]


def test_a_writer_that_holds_the_file_for_minutes(agent):
    """The checks wait in memory."""
    agent.check()
    other = sqlite3.connect(agent.path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    problem_in(agent, "database is locked")
    other.execute("ROLLBACK")
    other.close()
    solved_in(agent, 6)


def test_a_reader_for_minutes_is_no_problem(agent):
    """It sees the checks of its beginning; the writer goes on."""
    agent.check()
    reader = sqlite3.connect(agent.path, isolation_level=None)
    reader.execute("BEGIN")
    assert reader.execute("SELECT count(*) FROM checks").fetchone() == (1,)
    for _ in range(5):
        agent.check()
    assert reader.execute("SELECT count(*) FROM checks").fetchone() == (1,)
    reader.close()
    assert len(times(agent.path)) == 6
    assert agent.warnings == []


@pytest.mark.root
def test_a_full_disk(tmp_path):
    """A tmpfs without room; once there is some, nothing is missing."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=755", "none", folder], check=True)
    try:
        agent = Agent(folder)
        agent.check()
        (folder / "filler").write_bytes(b"")
        with open(folder / "filler", "wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(b"x" * 4096)
            except OSError:
                pass
        for _ in range(30):
            assert agent.check() < 1
        assert len(agent.warnings) == 1
        assert "full" in agent.warnings[0] or "I/O" in agent.warnings[0]
        (folder / "filler").unlink()
        agent.check()
        agent.check()
        assert len(agent.log) == 1
        assert len(times(agent.path)) == 33
        agent.end()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.root
def test_a_disk_that_is_read_only_for_a_while(tmp_path):
    """Remounted; a reader can still read what is there."""
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "none", folder], check=True)
    try:
        agent = Agent(folder)
        agent.check()
        agent.end()
        agent.recorder.apply(agent.host.settings)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        problem_in(agent, "Read-only")
        assert times(agent.path) == [FIRST]
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        solved_in(agent, 6)
        agent.end()
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_missing_folder(tmp_path):
    """It is not created: the path may have a mistake, or the disk is not mounted yet."""
    path = tmp_path / "later" / "h.sqlite"
    agent = Agent(tmp_path, history=str(path))
    agent.path = path
    problem_in(agent, "No such file or directory")
    path.parent.mkdir(mode=0o755)
    solved_in(agent, 5)
    agent.end()


def test_a_file_that_is_deleted_while_it_is_open(agent):
    """A new one begins with the next check."""
    agent.check()
    for part in agent.path.parent.iterdir():
        part.unlink()
    agent.check()
    agent.check()
    assert times(agent.path) == [FIRST + 30, FIRST + 60]
    assert (agent.log, agent.warnings) == ([], [])


def test_what_waits_is_bounded(agent, monkeypatch):
    """The oldest checks are dropped, and counted in the log."""
    monkeypatch.setattr(writer, "MAX_ROWS", 50)
    agent.path.mkdir()
    problem_in(agent, "not a regular file", checks=40)
    agent.path.rmdir()
    agent.check()
    agent.check()
    kept = times(agent.path)
    (line,) = agent.log
    assert f"; {42 - len(kept)} checks are missing" in line
    assert 5 < len(kept) < 15


def test_a_disk_that_does_not_answer(agent, monkeypatch):
    """A write that hangs: no check waits for it, and one line says so."""
    hangs = threading.Event()
    monkeypatch.setattr(writer, "Store", lambda *given: hangs.wait() and Store(*given))
    monkeypatch.setattr("network_health.history.recorder._PATIENCE_S", 0.2)
    for _ in range(3):
        report = whole_report(agent.host)
        started_s = time.monotonic()
        agent.recorder.add(report)
        assert time.monotonic() - started_s < 1
        time.sleep(0.3)
    assert len(agent.warnings) == 1
    assert "the disk has not answered for" in agent.warnings[0]
    hangs.set()
    agent.settle()
    agent.check()
    assert len(agent.log) == 1
    assert len(times(agent.path)) == 4


_WRITE = """
import sys
from tests.history.kept import *
from tests.checked_host import CheckedHost
from network_health.history import Recorder
from network_health import Settings
from pathlib import Path
host = CheckedHost(history=sys.argv[1])
host.now_s += float(sys.argv[2])
recorder = Recorder(Path("/"), host.settings)
for number in range(100000):
    report = whole_report(host, number % 50, after_s=3.0)
    recorder.add(report)
    while recorder._writer._waiting or recorder._writer.busy_since_s:
        pass
    print(report.timestamp, flush=True)
"""


def killed_runs(path, runs):
    """Kill a writer ``runs`` times after some checks each; returns how many checks it said were written."""
    chance, said = random.Random(1), []
    for number in range(runs):
        command = [sys.executable, "-c", _WRITE, str(path), str(800 * number)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as process:
            for _ in range(chance.randrange(1, 30)):
                said.append(float(process.stdout.readline()))
            time.sleep(chance.random() * 0.01)
            process.kill()
            said += [float(line) for line in process.stdout.read().splitlines() if line]
    return said


@pytest.mark.parametrize("runs", [3, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_agent_loses_at_most_the_check_under_way(tmp_path, runs):
    """At any moment: all checks that were handed over and taken are there, and the file is whole."""
    path = tmp_path / "h.sqlite"
    said = killed_runs(path, runs)
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    kept = rows(path, "SELECT at FROM checks ORDER BY sequence")
    assert set(said) <= {at for (at,) in kept}
    assert len(kept) <= len(said) + runs
