"""What the recorder does with files that are damaged, of another kind, or of somebody else."""

import contextlib
import os
import random

import pytest

from network_health.history import FILE_NAME, History, HistoryError
from tests.history.agent import Agent, problem_in
from tests.history.kept import EVER, FIRST, times, written


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "name"])
def test_what_is_no_file_of_this_user_is_not_touched(agent, kind):
    """A link, a FIFO, a folder, a file with a second name."""
    other = agent.path.with_name("other")
    if kind == "link":
        other.write_bytes(b"")
        agent.path.symlink_to(other)
    elif kind == "fifo":
        os.mkfifo(agent.path)
    elif kind == "folder":
        agent.path.mkdir()
    else:
        other.write_bytes(b"mine")
        os.link(other, agent.path)
    problem_in(agent, "another user, or has several names" if kind == "name" else "not a regular file")
    if kind in ("link", "name"):
        assert other.read_bytes() == (b"" if kind == "link" else b"mine")


def test_a_folder_that_others_can_write_is_refused(tmp_path):
    """There, another user could put a link in the place of the files beside the history."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    agent = Agent(folder)
    problem_in(agent, "a folder that other users can write")
    assert os.listdir(folder) == []
    agent.end()


@pytest.mark.parametrize("content", [b"not a database, but a text of some length\n" * 200, b"\0" * 9000])
def test_what_is_no_database_is_set_aside(agent, content):
    """It keeps its content under another name, and a history begins."""
    agent.path.write_bytes(content)
    agent.check()
    agent.check()
    agent.check()
    (aside,) = agent.path.parent.glob("*.damaged-*")
    assert aside.read_bytes() == content
    assert len(agent.warnings) == 1
    assert f"it is now {aside.name}, and a new one begins" in agent.warnings[0]
    assert times(agent.path) == [FIRST, FIRST + 30, FIRST + 60]


def test_a_file_of_another_kind_is_not_touched(tmp_path):
    """The path in the settings may be a mistake: a text keeps its name and its content."""
    path = tmp_path / "hosts"
    path.write_text("127.0.0.1 localhost\n" * 100)
    agent = Agent(tmp_path, history=str(path))
    for _ in range(2):
        agent.check()
    agent.end()
    assert path.read_text() == "127.0.0.1 localhost\n" * 100
    assert [each.name for each in tmp_path.iterdir()] == ["hosts"]
    (warning,) = agent.warnings
    assert f"{path} is not a history (file is not a database), and is not changed" in warning


def test_two_agents_with_one_file(agent):
    """The first one writes it, alone; the second says so once, and takes over when the first has ended."""
    agent.check()
    second = Agent(agent.path.parent)
    for _ in range(3):
        second.check()
        agent.check()
    assert agent.warnings == []
    assert second.warnings == [
        f"The history {agent.path} is not written: {agent.path} is written by another agent: give each agent "
        "a file of its own. Checks and reports go on."
    ]
    agent.end()
    assert times(agent.path) == [FIRST, FIRST + 30, FIRST + 60, FIRST + 90]
    second.check()
    second.check()
    second.end()
    assert second.log == [f"The history {agent.path} is written again; no check is missing"]
    assert len(times(agent.path)) == 9


def test_an_empty_or_cut_file(agent):
    """An empty file becomes a history; half of one is set aside."""
    agent.path.write_bytes(b"")
    agent.check()
    agent.end()
    agent.path.write_bytes(agent.path.read_bytes()[: agent.path.stat().st_size // 2])
    agent.recorder.apply(agent.host.settings)
    agent.check()
    agent.check()
    assert len(list(agent.path.parent.glob("*.damaged-*"))) == 1
    assert times(agent.path)[-1] == FIRST + 60


@pytest.mark.parametrize("seed", range(20))
def test_random_damage_ends_no_recorder_and_no_reader(tmp_path, seed):
    """Either it is not noticed, or the file is set aside; never an exception but `HistoryError`."""
    chance = random.Random(seed)
    host = written(tmp_path / FILE_NAME, 60)
    content = bytearray((tmp_path / FILE_NAME).read_bytes())
    for _ in range(chance.choice([1, 30, 3000])):
        content[chance.randrange(len(content))] = chance.randrange(256)
    (tmp_path / FILE_NAME).write_bytes(content)
    with contextlib.suppress(HistoryError), History.open(tmp_path / FILE_NAME) as history:
        history.interfaces(*EVER)
        history.alerts(*EVER)
        history.processes(*EVER)
        history.connections(*EVER)
        list(history.checks(*EVER))
        history.limits(*EVER)
    agent = Agent(tmp_path)
    agent.host = host
    for _ in range(30):
        agent.check()
    assert agent.recorder._writer._thread.is_alive()
    agent.end()
