"""Reported error counters are kept when the agent restarts, and dropped when the host boots."""

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
COUNTERS = {"eth0": ErrorCounters(2, 3, 0, 2**63, 10**19), "wg\udcff": ErrorCounters(None, 0, 0, 0, 0)}


@pytest.fixture
def log():
    """The lines of the agent's log."""
    return []


@pytest.fixture
def saved(tmp_path, log):
    """The file of an agent."""
    return SavedCounters(tmp_path / "counters.json", BOOT, log.append)


def test_saved_counters_are_loaded(saved, tmp_path, log):
    """The next process of the same boot loads them; only the owner may read the file."""
    saved.save({"eth9": ErrorCounters(1, 1, 1, 1, 1)})
    saved.save(COUNTERS)
    assert SavedCounters(tmp_path / "counters.json", BOOT, log.append).load() == COUNTERS
    assert stat.S_IMODE((tmp_path / "counters.json").stat().st_mode) == 0o600
    assert (os.listdir(tmp_path), log) == (["counters.json"], [])


counts = st.integers(0, 2**64 - 1)


@given(
    st.dictionaries(
        st.text(max_size=15), st.builds(ErrorCounters, st.none() | counts, counts, counts, counts, counts)
    )
)
def test_any_counters_are_loaded_unchanged(tmp_path_factory, counters):
    """Any interface name and any counter value."""
    saved = SavedCounters(tmp_path_factory.getbasetemp() / "any.json", BOOT, pytest.fail)
    saved.save(counters)
    assert saved.load() == counters


def test_there_are_no_counters_at_first_or_after_a_boot(saved, tmp_path, log):
    """A file that is missing or of another boot is not logged."""
    assert saved.load() is None
    saved.save(COUNTERS)
    assert SavedCounters(tmp_path / "counters.json", "another", log.append).load() is None
    assert log == []


def test_saving_none_changes_nothing(saved):
    """Before the first check the saved counters stay."""
    saved.save(COUNTERS)
    saved.save(None)
    assert saved.load() == COUNTERS


ROW = {"boot_id": BOOT, "counters": {"eth0": [2, 0, 0, 0, 0]}}


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0\0", b"{", b"[" * 100_000, b"\xff", b"[]", b"null", b'"boot"', b"{}"]
    + [
        json.dumps({**ROW, "counters": counters}).encode()
        for counters in (
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
def test_a_damaged_file_is_logged_and_not_used(saved, tmp_path, log, damage):
    """The log has one line; the next save replaces the file."""
    (tmp_path / "counters.json").write_bytes(damage)
    assert saved.load() is None
    assert len(log) == 1
    assert "counters.json cannot be read" in log[0]
    saved.save(COUNTERS)
    assert saved.load() == COUNTERS


def test_a_folder_in_place_of_the_file_is_logged(saved, tmp_path, log):
    """Failed reads and writes are logged once each and raise nothing."""
    (tmp_path / "counters.json").mkdir()
    assert saved.load() is None
    saved.save(COUNTERS)
    saved.save(COUNTERS)
    assert [line.partition(" (")[0].rpartition("/")[2] for line in log] == [
        "counters.json cannot be read",
        "counters.json cannot be written",
    ]


def test_a_full_disk_is_logged_at_begin_and_end(saved, tmp_path, log):
    """The counters saved before stay; no partial file is left."""
    saved.save(COUNTERS)
    fault = FileSizeLimit(tmp_path)
    fault.begin()
    with fault.active():
        saved.save({})
        saved.save({})
    assert (saved.load(), os.listdir(tmp_path)) == (COUNTERS, ["counters.json"])
    saved.save({})
    saved.save({})
    assert saved.load() == {}
    assert [re.sub(r".*counters.json (.*?)( \(.*)?$", r"\1", line) for line in log] == [
        "cannot be written",
        "can be written again",
    ]


def reading(drops):
    """One interface with a number of dropped packets."""
    return LinkReading(0.0, (Link("eth0", True, index=2, counters=Counters(rx_drops=drops, rx_packets=100)),))


def test_a_respawned_monitor_reports_each_error_once(saved):
    """Errors between the last check of one process and the first of the next are reported once."""
    seen = []
    for before, after in ((5, 7), (7, 9)):
        loaded = saved.load()
        now = iter((reading(before), reading(after)))
        monitor = Monitor(reported=loaded, readers=(replace(PORTABLE, links=now.__next__),))
        report = monitor.check()
        seen.append((report.metrics["interfaces"][0]["new_drops"], "(since boot)" in report.details))
        saved.save(monitor.reported)
    assert seen == [(7, True), (2, False)]


def test_observation_starts_from_the_saved_counters(saved):
    """The same interface counts from there; one created again under its name counts from zero."""
    saved.save({"eth0": ErrorCounters(2, 0, 0, 5, 100)})
    (same,) = observe_interfaces(None, saved.load(), reading(7))
    assert (same.new_drops, same.since_boot) == (2, False)
    saved.save({"eth0": ErrorCounters(1, 0, 0, 5, 100)})
    (another,) = observe_interfaces(None, saved.load(), reading(7))
    assert another.new_drops == 7


def test_the_boot_id_is_the_kernels():
    """It equals the content of the kernel's file."""
    assert boot_id() == Path("/proc/sys/kernel/random/boot_id").read_text().strip() == read_boot_id()


def test_without_the_kernels_boot_id_psutil_gives_one(monkeypatch, tmp_path):
    """The file is missing, empty or invalid: the boot time is used."""
    for content in (None, "", "not a boot id"):
        path = tmp_path / "boot_id"
        if content is not None:
            path.write_text(content)
        monkeypatch.setattr("network_health.sources.linux.boot._PATH", path)
        assert boot_id() == portable.boot_id()
