"""What has been reported is remembered across the agent's lives, and across nothing else."""

import json
import os
import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health import Monitor
from network_health.collectors.interfaces import observe_interfaces
from network_health.delivery.saved_counters import SavedCounters
from network_health.model import Counters, ErrorCounters, Link, LinkReading
from network_health.sources import boot_id, portable
from network_health.sources.linux.boot import read_boot_id
from network_health.sources.readers import PORTABLE
from tests.faults import FileSizeLimit

BOOT = "0c4d1f2e-8a43-4b6e-9d57-1f2e3a4b5c6d"
MARKS = {"eth0": ErrorCounters(2, 3, 0, 2**63, 10**19), "wg\udcff": ErrorCounters(None, 0, 0, 0, 0)}


@pytest.fixture
def log():
    """The lines that an operator would read."""
    return []


@pytest.fixture
def saved(tmp_path, log):
    """The file of an agent."""
    return SavedCounters(tmp_path / "counters.json", BOOT, log.append)


def test_what_was_saved_is_loaded(saved, tmp_path, log):
    """By the next life of the agent on the same boot; nobody else may read the file, nothing else is left."""
    saved.save({"eth9": ErrorCounters(1, 1, 1, 1, 1)})
    saved.save(MARKS)
    assert SavedCounters(tmp_path / "counters.json", BOOT, log.append).load() == MARKS
    assert stat.S_IMODE((tmp_path / "counters.json").stat().st_mode) == 0o600
    assert (os.listdir(tmp_path), log) == (["counters.json"], [])


counts = st.integers(0, 2**64 - 1)


@given(
    st.dictionaries(
        st.text(max_size=15), st.builds(ErrorCounters, st.none() | counts, counts, counts, counts, counts)
    )
)
def test_any_marks_come_back_as_they_were(tmp_path_factory, marks):
    """Whatever interfaces are called and have counted."""
    saved = SavedCounters(tmp_path_factory.getbasetemp() / "any.json", BOOT, pytest.fail)
    saved.save(marks)
    assert saved.load() == marks


def test_nothing_is_known_at_first_or_after_a_boot(saved, tmp_path, log):
    """A file that is missing or of another boot is nothing to tell an operator."""
    assert saved.load() is None
    saved.save(MARKS)
    assert SavedCounters(tmp_path / "counters.json", "another", log.append).load() is None
    assert log == []


def test_no_check_no_change(saved):
    """Before the first check there is nothing to save, and what is there stays."""
    saved.save(MARKS)
    saved.save(None)
    assert saved.load() == MARKS


ROW = {"boot_id": BOOT, "marks": {"eth0": [2, 0, 0, 0, 0]}}


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0\0", b"{", b"[" * 100_000, b"\xff", b"[]", b"null", b'"boot"', b"{}"]
    + [
        json.dumps({**ROW, "marks": marks}).encode()
        for marks in (
            None,
            [],
            {"eth0": 5},
            {"eth0": "12345"},
            {"eth0": [2, 0, 0, 0]},
            {"eth0": [2, 0, 0, 0, 0, 0]},
            {"eth0": [2, 0, 0, 0, None]},
            {"eth0": [2, 0, 0, 0, True]},
            {"eth0": [2, 0, 0, 0, 1.5]},
            {"eth0": [2, 0, 0, 0, -1]},
            {"eth0": ["2", 0, 0, 0, 0]},
            {"eth0": {"a": 1}},
        )
    ],
)
def test_a_damaged_file_is_told_once_and_not_used(saved, tmp_path, log, damage):
    """The next save makes it good again."""
    (tmp_path / "counters.json").write_bytes(damage)
    assert saved.load() is None
    assert len(log) == 1
    assert "counters.json is of no use" in log[0]
    saved.save(MARKS)
    assert saved.load() == MARKS


def test_a_folder_in_the_place_of_the_file_is_told(saved, tmp_path, log):
    """What cannot be read or replaced is told once each, and raises nothing."""
    (tmp_path / "counters.json").mkdir()
    assert saved.load() is None
    saved.save(MARKS)
    saved.save(MARKS)
    assert [line.partition(" (")[0].rpartition("/")[2] for line in log] == [
        "counters.json is of no use",
        "counters.json cannot be written",
    ]


def test_a_full_disk_is_told_when_it_begins_and_when_it_ends(saved, tmp_path, log):
    """What was saved before stays whole; nothing half-written is left."""
    saved.save(MARKS)
    fault = FileSizeLimit(tmp_path)
    fault.begin()
    with fault.active():
        saved.save({})
        saved.save({})
    assert (saved.load(), os.listdir(tmp_path)) == (MARKS, ["counters.json"])
    saved.save({})
    saved.save({})
    assert saved.load() == {}
    assert [re.sub(r".*counters.json (.*?)( \(.*)?$", r"\1", line) for line in log] == [
        "cannot be written",
        "can be written again",
    ]


def reading(drops):
    """One interface that dropped so many packets in its life."""
    return LinkReading(0.0, (Link("eth0", True, index=2, counters=Counters(rx_drops=drops, rx_packets=100)),))


def test_a_respawned_monitor_neither_repeats_nor_misses(saved):
    """Errors of the window between the last check of one life and the first of the next are told once."""
    seen = []
    for before, after in ((5, 7), (7, 9)):
        loaded = saved.load()
        now = iter((reading(before), reading(after)))
        monitor = Monitor(reported=loaded, readers=(replace(PORTABLE, links=now.__next__),))
        report = monitor.check()
        seen.append((report.metrics["interfaces"][0]["new_drops"], "(since boot)" in report.details))
        saved.save(monitor.reported)
    assert seen == [(7, True), (2, False)]


def test_saved_marks_are_what_the_next_observation_starts_from(saved):
    """An interface that came after the save is new; one created again under its name counts from zero."""
    saved.save({"eth0": ErrorCounters(2, 0, 0, 5, 100)})
    (same,) = observe_interfaces(None, saved.load(), reading(7))
    assert (same.new_drops, same.since_boot) == (2, False)
    saved.save({"eth0": ErrorCounters(1, 0, 0, 5, 100)})
    (another,) = observe_interfaces(None, saved.load(), reading(7))
    assert another.new_drops == 7


def test_the_boot_has_the_kernels_own_name():
    """The same at every call, and the one that the kernel gives."""
    assert boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip() == read_boot_id()


def test_where_the_kernel_gives_none_the_boot_is_named_by_its_time(monkeypatch, tmp_path):
    """No such file, or nonsense in it: psutil answers."""
    for content in (None, "", "not a boot id"):
        path = tmp_path / "boot_id"
        if content is not None:
            path.write_text(content)
        monkeypatch.setattr("network_health.sources.linux.boot._PATH", path)
        assert boot_id() == portable.boot_id()
