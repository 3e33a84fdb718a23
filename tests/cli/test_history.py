"""``network-health history``: the real command on real files."""

import contextlib
import json
import os
import sqlite3
import tempfile
import time
from pathlib import Path

import pytest

from network_health.cli.history_file import history_path
from network_health.history import FILE_NAME, Store
from network_health.swarm import SwarmError
from tests.checked_host import CheckedHost, nic
from tests.cli.command import at_a_terminal, run, run_here
from tests.rights import as_nobody


def recorded(path, minutes=5):
    """A history whose last check is of now, with an active alert."""
    host = CheckedHost()
    host.epoch = time.time() - host.now_s - 30 * 2 * minutes
    store = Store(path, 64 * 10**6)
    for _ in range(2 * minutes):
        store.add(host.check(nic(tx=150)), host.settings)
    store.close()
    return path


@pytest.fixture
def kept(tmp_path):
    """The file of a history."""
    return recorded(tmp_path / "a.sqlite")


def test_text(kept):
    """The last day, without colours in a pipe and with them at a terminal."""
    done = run("history", kept)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\n  eth0  out " in done.stdout
    assert "eth0 outbound 150 Mbps > 100 Mbps\n" in done.stdout
    assert "\x1b" not in done.stdout
    status, written = at_a_terminal("history", kept)
    assert status == 0
    assert "\x1b[33mWARNING" in written
    assert "\x1b" not in at_a_terminal("history", kept, NO_COLOR="1")[1]


def test_ascii(kept):
    """A terminal without block characters gets others."""
    assert run("history", kept, PYTHONIOENCODING="ascii").stdout.isascii()
    assert run("history", kept, TERM="linux").stdout.isascii()


def test_json(kept):
    """One object, also where only the alerts are asked for."""
    done = json.loads(run_here("history", kept, "--json").stdout)
    assert list(done["interfaces"]) == ["eth0"]
    assert [alert["subject"] for alert in done["alerts"]] == ["eth0"]
    only = json.loads(run_here("history", kept, "--json", "--alerts").stdout)
    assert only["alerts"] == done["alerts"]
    assert "interfaces" not in only


def test_an_interface_that_is_not_there(kept):
    """One sentence with those that are."""
    done = run_here("history", kept, "--interface", "eth9\x1b")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "network-health: the range has no interface 'eth9\\x1b': it has eth0\n"


@pytest.mark.parametrize("words", [("--since", "1h", "--until", "2h"), ("--since", "x"), ("--until", "")])
def test_a_range_that_is_none(kept, words):
    """One sentence, and nothing else."""
    done = run_here("history", kept, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


def half_written(path):
    """A file that ends in the middle."""
    recorded(path)
    with path.open("r+b") as file:
        file.truncate(file.seek(0, os.SEEK_END) // 2)


def of_another_program(path):
    """A database with other tables."""
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE a (b)")
    database.close()


def of_a_newer_version(path):
    """A file that a later version of this package has written."""
    recorded(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 999")
    database.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda path: None,
        lambda path: path.touch(),
        lambda path: path.write_text("no history " * 1000),
        lambda path: path.write_bytes(b"SQLite format 3\0" + bytes(4096)),
        lambda path: path.mkdir(),
        os.mkfifo,
        half_written,
        of_another_program,
        of_a_newer_version,
    ],
    ids=["missing", "empty", "text", "zeros", "folder", "fifo", "half", "other", "newer"],
)
def test_what_is_no_history(tmp_path, make):
    """One sentence with the name of the file, whatever it is."""
    path = tmp_path / "b.sqlite"
    make(path)
    done = run_here("history", path)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith(f"network-health: {path}")


@pytest.fixture
def open_folder():
    """A folder that every user can read."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)


@pytest.mark.root
def test_a_file_of_another_user(open_folder):
    """One sentence for a user who may not read it."""
    kept = recorded(open_folder / "a.sqlite")
    kept.chmod(0o600)
    answer = as_nobody(lambda: run_here("history", kept).stderr)
    assert answer.count("\n") == 1
    assert answer.startswith(f"network-health: {kept}")
    assert "internal error" not in answer


@pytest.mark.root
def test_a_copy_that_cannot_be_changed(open_folder):
    """A user who may only read the folder and the file reads the same, and nothing is written beside it."""
    kept = recorded(open_folder / "a.sqlite")
    kept.chmod(0o444)
    assert as_nobody(lambda: run_here("history", kept).returncode) == "0"
    assert os.listdir(open_folder) == ["a.sqlite"]


def test_a_running_agents_file(tmp_path):
    """While the agent writes, each call shows what is kept by then."""
    host = CheckedHost()
    host.epoch = time.time() - host.now_s - 120
    path = tmp_path / "a.sqlite"
    store = Store(path, 64 * 10**6)
    for number in range(1, 4):
        store.add(host.check(nic(tx=10 * number)), host.settings)
        done = json.loads(run_here("history", path, "--json").stdout)
        assert done["interfaces"]["eth0"]["tx_mbps"]["highest"] == 10 * number
    store.close()


def agents_file(root, uid, universe="u"):
    """The history that an agent keeps in its own folder."""
    path = root / universe / "20261125_100000" / "comm" / uid / "queue" / FILE_NAME
    path.parent.mkdir(parents=True)
    return recorded(path, 1)


def test_the_agents_own_file_is_found(tmp_path):
    """Without a file it is the only one that an agent keeps; of several each is named."""
    with pytest.raises(SwarmError, match=r'^no agent of this host keeps .* add "history": true'):
        history_path(None, tmp_path)
    one = agents_file(tmp_path, "net-1")
    assert history_path(None, tmp_path) == one
    assert history_path(tmp_path / "named", tmp_path) == tmp_path / "named"
    two = agents_file(tmp_path, "net-2")
    with pytest.raises(SwarmError) as error:
        history_path(None, tmp_path)
    assert str(error.value) == f"several agents of this host keep a history: name one of {one} (u), {two} (u)"


def test_a_locked_file(kept, monkeypatch):
    """A program that has the file alone is one sentence, after a bounded wait."""
    monkeypatch.setattr("network_health.history.history._BUSY_S", 0.2)
    with contextlib.closing(sqlite3.connect(kept, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        done = run_here("history", kept)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"network-health: {kept} ")
    assert "locked" in done.stderr
