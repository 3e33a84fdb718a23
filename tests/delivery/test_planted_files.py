"""What another program puts into the queue folder harms nothing: no wait, no memory, no file elsewhere."""

import json
import os
import resource
from contextlib import contextmanager
from pathlib import Path

import pytest

from network_health.alerting import AlertState
from network_health.delivery.atomic_file import write_atomically
from network_health.delivery.own_file import NotOwnFile, overwrite_own, read_own
from network_health.delivery.saved_state import MonitorState, SavedState
from network_health.model import Baseline, Counters
from tests import planted
from tests.delivery.outbox_model import BOOT, Nodes, outbox, report
from tests.planted import KINDS, of_another_user

REPORT = "network-health-000000000001-1.report"
NUMBER = "network-health-last-number"
ANY_KIND = [*KINDS, pytest.param(of_another_user, marks=pytest.mark.root)]


@pytest.fixture
def victim(tmp_path):
    """A file elsewhere; nothing but it may be there when the test is over."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    file = folder / "victim"
    file.write_text(planted.CONTENT)
    yield file
    assert (file.read_text(), os.listdir(folder)) == (planted.CONTENT, ["victim"])


@pytest.fixture
def queue(tmp_path):
    """An empty queue folder."""
    folder = tmp_path / "queue"
    folder.mkdir()
    return folder


@contextmanager
def memory_limit(limit_bytes):
    """What takes more memory is a MemoryError."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + limit_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("kind", ANY_KIND)
@pytest.mark.parametrize("place", [REPORT, NUMBER])
def test_an_agent_starts_and_keeps_its_alerts(queue, victim, place, kind):
    """It logs one line, and its alert and its numbers are there for the next process."""
    log, nodes, ids = [], Nodes("a"), []
    kind(queue / place, victim)
    with planted.within(10), memory_limit(200 << 20):
        for number in (1, 2):
            ids.append(outbox(queue, log.append).add(report(number), ["a"]))
        outbox(queue, log.append).deliver(nodes.send, ["a"])
    assert (nodes.numbers("a"), len(log)) == ([1, 2], 1)
    assert place in log[0]
    assert [each[-6:] for each in ids] == ["000001", "000002"]
    kept = [NUMBER, *([f"{REPORT}.damaged"] if place == REPORT else [])]
    assert sorted(os.listdir(queue)) == sorted(kept)


@pytest.mark.parametrize("kind", ANY_KIND)
@pytest.mark.parametrize("place", ["a report", NUMBER])
def test_a_file_that_is_replaced_while_the_agent_runs(queue, victim, place, kind):
    """It is logged once; the reports before and after it are delivered, each under an id of its own."""
    log, nodes = [], Nodes("a")
    box = outbox(queue, log.append)
    nodes.down = {"a"}
    for number in (1, 2, 3):
        box.add(report(number), ["a"])
    box.deliver(nodes.send, ["a"])
    path = queue / (sorted(os.listdir(queue))[1] if place == "a report" else place)
    log.clear()
    path.unlink()
    kind(path, victim)
    nodes.down = set()
    with planted.within(10), memory_limit(200 << 20):
        box.add(report(4), ["a"])
        box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == ([1, 3, 4] if place == "a report" else [1, 2, 3, 4])
    assert len(set(nodes.ids("a"))) == len(nodes.ids("a"))
    assert [path.name in line for line in log if line != "a takes reports again"] == [True]


@pytest.mark.parametrize("number", [10**11 - 1, 10**11, 10**11 + 1, 10**12 - 1])
def test_no_number_makes_later_reports_unreadable(queue, number):
    """With a report of any number in the queue, each later alert survives a kill, and order is kept."""
    log, nodes = [], Nodes("a")
    outbox(queue, log.append).add(report(0), ["a"])
    (path,) = queue.glob("*.report")
    path.rename(queue / f"network-health-{number:012d}-{os.getpid()}.report")
    for each in range(1, 6):
        outbox(queue, log.append).add(report(each), ["a"])
    outbox(queue, log.append).deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == [0, 1, 2, 3, 4, 5]
    assert len(log) >= (number > 10**11)


def test_a_last_number_of_another_program_starts_a_new_series(queue):
    """The next id has a number that the file can keep; no id is given twice."""
    ids = [outbox(queue, lambda line: None).add(report(0), ["a"])]
    line = (queue / NUMBER).read_text()
    (queue / NUMBER).write_text(f"{line.split()[0]} {10**12 - 1}\n")
    ids += [outbox(queue, lambda line: None).add(report(0), ["a"]) for _ in range(2)]
    assert [each.rsplit("-", 1)[1] for each in ids] == ["000001", "000001", "000002"]
    assert len(set(ids)) == 3


def test_a_flood_of_files_is_bounded(queue):
    """Of 1,500 reports the newest 1,000 are read, and of these the newest 100 wait."""
    content = {"version": 1, "report_id": "x", "durable": True, "recipients": ["a"], "reached": False}
    for number in range(1500):
        path = queue / f"network-health-{number:012d}-1.report"
        path.write_text(json.dumps({**content, "content": report(number)}))
    log, nodes = [], Nodes("a")
    box = outbox(queue, log.append)
    box.add(report(1500), ["a"])
    box.deliver(nodes.send, ["a"])
    assert nodes.numbers("a") == list(range(1401, 1501))
    assert log[0] == "The queue folder has 1500 reports: only the newest 1000 are read"


@pytest.mark.parametrize("kind", ANY_KIND)
def test_only_an_own_file_is_read_or_overwritten(tmp_path, victim, kind):
    """Everything else is an error at once, and is left as it is."""
    path = tmp_path / "file"
    kind(path, victim)
    before = os.lstat(path)
    with planted.within(10), memory_limit(200 << 20):
        with pytest.raises(NotOwnFile):
            read_own(path)
        with pytest.raises(NotOwnFile):
            overwrite_own(path, b"new")
    assert os.lstat(path)[:7] == before[:7]


def test_an_own_file_is_read_and_overwritten(tmp_path):
    """Its content up to the limit; a longer one is an error."""
    path = tmp_path / "file"
    overwrite_own(path, b"12345")
    overwrite_own(path, b"54321")
    assert (read_own(path), read_own(path, 5)) == (b"54321", b"54321")
    with pytest.raises(NotOwnFile, match="larger than 4 bytes"):
        read_own(path, 4)


def test_a_temporary_name_cannot_be_guessed(tmp_path, monkeypatch):
    """Each write has another one, which is a new file that only the owner may read; all are removed."""
    seen = []
    replace = os.replace

    def spy(source, target):
        seen.append((source.name, os.stat(source).st_mode & 0o777))
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    for _ in range(100):
        write_atomically(tmp_path / "file", b"x")
    assert (len(set(seen)), {mode for _, mode in seen}) == (100, {0o600})
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("kind", ANY_KIND)
def test_the_saved_state_is_replaced(queue, victim, kind):
    """The agent starts without it, logs one line, and the next process finds the new state."""
    log, path, reported = [], queue / "network-health-state.json", {2: Baseline(Counters(rx_drops=3))}
    kind(path, victim)
    with planted.within(10), memory_limit(200 << 20):
        assert SavedState(path, BOOT, log.append).load() is None
        SavedState(path, BOOT, log.append).save(MonitorState(reported, AlertState()))
        assert SavedState(path, BOOT, log.append).load().reported == reported
    assert (len(log), os.listdir(queue)) == (1, [path.name])
    assert "packet errors since boot and active alerts are reported again" in log[0]
