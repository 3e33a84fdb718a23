"""``network-health doctor`` checks the history: is it on, can it be written, does it grow."""

import shutil
import sqlite3
import time

import pytest

from network_health.history import FILE_NAME, Store
from network_health.settings import Settings
from network_health.swarm.doctor.history import check_history, check_kept, check_kept_histories
from tests.checked_host import CheckedHost, nic
from tests.cli.test_doctor import DETECTIVE, agent, examined, faults, found


def findings(**config):
    """The findings for these settings as (state, says, do)."""
    settings = Settings.from_mapping(config)
    return [(finding.state, finding.says, finding.do) for finding in check_history("n", settings)]


def recorded(path, ago_s=0.0):
    """A history whose last check was so many seconds ago."""
    host = CheckedHost()
    host.epoch = time.time() - ago_s - host.now_s - 30
    store = Store(path, 64 * 10**6)
    store.add(host.check(nic()), host.settings)
    store.close()
    return path


def test_the_history_is_off(installed):
    """A note that says what to add; the real command shows it for each agent."""
    done = examined(installed, DETECTIVE, agent())
    assert faults(done) == []
    says = "n: no history is kept, so what was before an alert cannot be looked up"
    assert ("note", "history", says, 'add "history": true to the config of n') in found(done)


def test_the_history_is_on(tmp_path):
    """In the agent's own folder nothing is missing; a file elsewhere must be one that can be written."""
    assert findings(history=True) == [("ok", "n: a history is kept in the agent's own folder", "")]
    assert findings(history=f"{tmp_path}/a.sqlite") == [("ok", f"n: {tmp_path}/a.sqlite can be written", "")]
    assert findings(history=f"{tmp_path}/no/a.sqlite") == [
        (
            "fault",
            f"n: the folder {tmp_path}/no does not exist",
            f"install -d {tmp_path}/no, writable for the swarm's user",
        )
    ]
    assert findings(history=str(tmp_path)) == [
        ("fault", f"n: {tmp_path} is a folder", "set history to a file")
    ]


def test_a_full_disk(tmp_path):
    """A disk with less space than the history may need is noted."""
    free_mb = shutil.disk_usage(tmp_path).free / 1e6
    more = min(int(free_mb * 2) + 1, 10**6)
    if more < free_mb:
        pytest.skip("no setting is larger than this disk")
    ((state, says, do),) = findings(history=f"{tmp_path}/a.sqlite", history_max_mb=more)[1:]
    assert (state, do) == ("note", "free some space, or lower history_max_mb")
    assert says.endswith(f"MB of free space, and the history may grow to {more} MB")


def test_a_file_that_grows(tmp_path):
    """It is all right: how large, since when, and how to read it."""
    path = recorded(tmp_path / "a.sqlite")
    (kept,) = check_kept(path)
    assert (kept.state, kept.do) == ("ok", "")
    assert kept.says.startswith(f"{path}: 0.")
    assert kept.says.endswith(f"; to read it: network-health history {path}")
    assert findings(history=str(path))[1:] == [("ok", kept.says, "")]


def test_the_size_of_a_file_that_is_written(tmp_path):
    """What SQLite keeps beside it is counted, too: a new history is in there for its first megabyte."""
    path = tmp_path / "a.sqlite"
    host = CheckedHost()
    host.epoch = time.time() - host.now_s - 30
    store = Store(path, 64 * 10**6)
    try:
        for _ in range(20):
            store.add(host.check(nic(), after_s=0), host.settings)
        (kept,) = check_kept(path)
    finally:
        store.close()
    assert kept.state == "ok"
    assert float(kept.says.removeprefix(f"{path}: ").partition(" MB")[0]) > 0.1, kept.says


@pytest.mark.parametrize("value", ["'x'", "x'00'", "-1", "1e300", "9e999"])
def test_a_file_with_invalid_times(tmp_path, value):
    """It is a fault like any damaged file, and the other checks of the doctor go on."""
    path = recorded(tmp_path / "a.sqlite")
    db = sqlite3.connect(path)
    db.execute(f"UPDATE checks SET at = {value}")
    db.commit()
    db.close()
    (kept,) = check_kept(path)
    assert (kept.state, kept.says) == (
        "fault",
        f"{path} cannot be read as a history: a check has no valid time",
    )


def test_a_file_that_does_not_grow(tmp_path):
    """The agent does not run, or cannot write."""
    path = recorded(tmp_path / "a.sqlite", 3600)
    (kept,) = check_kept(path)
    assert kept.state == "note"
    assert "its agent does not run, or cannot write" in kept.says
    assert kept.do == f"look at the agent.log of its agent; what is kept: network-health history {path}"
    Store(tmp_path / "b.sqlite", 10**6).close()
    (kept,) = check_kept(tmp_path / "b.sqlite")
    assert (kept.state, kept.says) == ("note", f"{tmp_path}/b.sqlite has no check yet")


def test_damaged_files(tmp_path):
    """One that cannot be read is a fault; those that the agent has set aside are noted."""
    path = tmp_path / "a.sqlite"
    path.write_text("no history")
    (kept,) = check_kept(path)
    assert kept.state == "fault"
    assert kept.says.startswith(f"{path} ")
    path.unlink()
    recorded(path)
    aside = tmp_path / "a.sqlite.damaged-20261125-031204"
    aside.touch()
    kept, noted = check_kept(path)
    assert kept.state == "ok"
    assert (noted.state, noted.do) == ("note", f"if nobody needs them: rm {aside}")


def test_the_files_of_this_host(tmp_path):
    """Those that agents keep in their own folders are found without any name."""
    path = tmp_path / "u" / "20261125_100000" / "comm" / "net-1" / "queue" / FILE_NAME
    path.parent.mkdir(parents=True)
    recorded(path)
    assert [finding.state for finding in check_kept_histories(tmp_path)] == ["ok"]
    assert list(check_kept_histories(tmp_path / "none")) == []
