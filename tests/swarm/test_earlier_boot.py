"""What an agent left in the swarm's boot before goes on in this one, and nothing else does."""

import os

import pytest

from network_health.history import FILE_NAME, History, Store
from network_health.swarm.earlier_boot import STATE, continue_earlier_boot
from network_health.swarm.history_files import history_files
from network_health.swarm.single_instance import LOCK, SingleInstance
from tests.checked_host import CheckedHost, nic

REPORT, NUMBER = "network-health-000000000007-12.report", "network-health-last-number"
LEFT = {REPORT: "a report", NUMBER: "7", STATE: "a state", LOCK: ""}
BEFORE, NOW, LATER = "20261125_230000", "20261126_010000", "20261126_020000"


def queue_of(universe, boot, uid="net-1"):
    return universe / boot / "comm" / uid / "queue"


def left(universe, boot, uid="net-1", files=LEFT):
    """The folder that an agent of this boot has left."""
    queue = queue_of(universe, boot, uid)
    queue.mkdir(parents=True)
    for name, text in files.items():
        (queue / name).touch(0o600)
        (queue / name).write_text(text)
    return queue


def made(universe):
    """The queue of this boot's agent, whose folder the framework has made."""
    (universe / NOW / "comm" / "net-1").mkdir(parents=True)
    return queue_of(universe, NOW)


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()} if folder.exists() else {}


def begin(universe):
    """What the queue of this boot has after the start, and what was logged."""
    lines = []
    (universe / NOW / "comm" / "net-1").mkdir(parents=True, exist_ok=True)
    continue_earlier_boot(
        universe / NOW / "comm", queue_of(universe, NOW), lambda line, level: lines.append((level, line))
    )
    return content(queue_of(universe, NOW)), lines


def test_reports_state_and_number_of_the_boot_before_go_on(tmp_path):
    """They are moved, so that no later boot sends them again; only the lock stays."""
    before = left(tmp_path, BEFORE)
    found, lines = begin(tmp_path)
    assert found == {REPORT: "a report", NUMBER: "7", STATE: "a state"}
    assert content(before).keys() == {LOCK}
    assert lines == [("INFO", f"Continued from the swarm's boot before: 3 files of {before}")]


def test_the_history_of_the_boot_before_goes_on(tmp_path):
    """Also the checks of an agent that was killed, which are in the file beside it."""
    before, host = left(tmp_path, BEFORE), CheckedHost()
    killed = Store(before / FILE_NAME, 10**6)
    killed.add(host.check(nic(tx=150)), host.settings)
    found = {path.name for path in before.iterdir()} - {LOCK}
    assert f"{FILE_NAME}-wal" in found
    continue_earlier_boot(tmp_path / NOW / "comm", made(tmp_path), lambda line, level: None)
    killed.close()
    path = queue_of(tmp_path, NOW) / FILE_NAME
    assert [kept.path for kept in history_files(tmp_path.parent)] == [path]
    store = Store(path, 10**6)
    store.add(host.check(nic(tx=150)), host.settings)
    store.close()
    with History.open(path) as history:
        (alert,) = history.alerts(0, 1e12)
        assert (len(list(history.checks(0, 1e12))), alert.begin, alert.end) == (2, history.first_at, None)


def test_the_latest_boot_that_had_this_agent_counts(tmp_path):
    """Older boots, boots after this one and those of other agents are left alone."""
    others = {
        queue: content(queue)
        for queue in (
            left(tmp_path, "20261124_230000"),
            left(tmp_path, "20261125_235900", "net-2"),
            left(tmp_path, LATER),
        )
    }
    left(tmp_path, BEFORE, files={STATE: "the latest"})
    assert begin(tmp_path)[0] == {STATE: "the latest"}
    assert {queue: content(queue) for queue in others} == others


def test_an_agent_that_has_a_state_keeps_it(tmp_path):
    """A restart within a boot takes nothing."""
    before, now = left(tmp_path, BEFORE), left(tmp_path, NOW, files={STATE: "its own"})
    assert begin(tmp_path) == ({STATE: "its own"}, [])
    assert content(before).keys() == LEFT.keys()
    assert content(now) == {STATE: "its own"}


def test_a_boot_that_is_still_running_keeps_its_files(tmp_path):
    """An agent of another boot that has its lock is at work there."""
    before = left(tmp_path, BEFORE)
    running = SingleInstance(before, print)
    assert running.acquire()
    assert begin(tmp_path) == ({}, [])
    running.release()
    assert begin(tmp_path)[0].keys() == {REPORT, NUMBER, STATE}


@pytest.mark.parametrize("linked", ["queue", "net-1", "comm"])
def test_no_link_is_followed(tmp_path, linked):
    """A folder of the boot before that is a link is not that agent's."""
    elsewhere = left(tmp_path / "elsewhere", BEFORE)
    universe = tmp_path / "universe"
    path = queue_of(universe, BEFORE)
    while path.name != linked:
        path, elsewhere = path.parent, elsewhere.parent
    path.parent.mkdir(parents=True)
    path.symlink_to(elsewhere)
    assert begin(universe) == ({}, [])
    assert content(queue_of(tmp_path / "elsewhere", BEFORE)).keys() == LEFT.keys()


def test_a_move_that_was_cut_is_completed(tmp_path, monkeypatch):
    """At each file: what is not moved yet follows at the next start."""
    rename = os.rename
    for cut in range(3):
        universe = tmp_path / str(cut)
        left(universe, BEFORE)
        left_to_move = iter([True] * cut)

        def cut_rename(*args, left_to_move=left_to_move, **options):
            if not next(left_to_move, False):
                raise OSError(5, "cut")
            rename(*args, **options)

        monkeypatch.setattr(os, "rename", cut_rename)
        ((level, line),) = begin(universe)[1]
        assert level == "WARNING"
        assert "the boot before cannot be continued ([Errno 5] cut)" in line
        monkeypatch.setattr(os, "rename", rename)
        assert begin(universe)[0] == {REPORT: "a report", NUMBER: "7", STATE: "a state"}


def test_folders_of_another_form_are_left_alone(tmp_path):
    """Where the framework names its boots differently, nothing is continued."""
    queue = tmp_path / "run" / "comm" / "net-1" / "queue"
    continue_earlier_boot(tmp_path / "run" / "comm", queue, pytest.fail)
    assert not queue.exists()
