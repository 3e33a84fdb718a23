"""What was reported is kept when the agent restarts, and what is still true of it when the host boots."""

import copy
import json
import os
import re
import stat
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health import Monitor, Settings
from network_health.alerting import AlertState
from network_health.collectors import observe_interfaces
from network_health.delivery import saved_state
from network_health.delivery.saved_state import MonitorState, SavedState
from network_health.model import Baseline, Counters, Link, LinkReading
from network_health.sources import boot_id, portable
from network_health.sources.linux.boot import read_boot_id
from network_health.sources.readers import PORTABLE
from tests.checked_host import EPOCH, CheckedHost, nic
from tests.faults import FileSizeLimit

BOOT = "0c4d1f2e-8a43-4b6e-9d57-1f2e3a4b5c6d"
QUIET = "Network health within normal bounds."
COUNTERS = {2: Baseline(Counters(0, 0, 10**19, 2**63, 3, 0, 1, 2)), "wg\udcff": Baseline(Counters())}


class Clock:
    """Replaces the ``time`` module: what one process of a boot says is comparable with another's."""

    def __init__(self):
        self.now_s, self.epoch = 6000.0, EPOCH + 6000

    def monotonic(self):
        return self.now_s

    def time(self):
        return self.epoch


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    """The clock of the test."""
    clock = Clock()
    monkeypatch.setattr(saved_state, "time", clock)
    return clock


@pytest.fixture
def log():
    """The lines of the agent's log."""
    return []


@pytest.fixture
def saved(tmp_path, log):
    """The file of an agent."""
    return SavedState(tmp_path / "state.json", BOOT, log.append)


def busy_state():
    """A state with everything in it: alerts of each kind, pending ones, links that flap, are down or gone."""
    host = CheckedHost(
        tx_threshold_mbps=250, clear_percent=90, critical_after_checks=2, exclude_interfaces=["veth*"]
    )
    links = [nic(f"eth{n}", index=n, kind="", carrier_changes=4) for n in range(5)]
    host.check(*links)
    for count in range(3):
        flapping = nic("eth0", index=0, kind="", carrier_changes=9 + count)
        down = nic("eth1", index=1, kind="", carrier_changes=5, up=False)
        busy = nic("eth2", tx=300.0 - 60 * (count == 2), index=2, kind="", carrier_changes=4, drops=count)
        host.check(flapping, down, busy, nic("wg\udcff", index=7), connections=1001, failed=["protocols"])
    return replace(host.state, due_s=None)


def test_a_state_is_loaded_as_it_was_saved(saved, tmp_path, log):
    """The next process of the same boot continues from it; only the owner may read the file."""
    state = MonitorState(COUNTERS, busy_state())
    assert {alert.state for alert in state.alerts.alerts.values()} == {"breached", "clearing"}
    saved.save(MonitorState(None, AlertState()))
    saved.save(state)
    loaded = SavedState(tmp_path / "state.json", BOOT, log.append).load()
    assert loaded == state
    assert loaded.alerts.settings == state.alerts.settings
    assert stat.S_IMODE((tmp_path / "state.json").stat().st_mode) == 0o600
    assert (os.listdir(tmp_path), log) == (["state.json"], [])


counts = st.integers(0, 2**64 - 1)


@given(
    st.dictionaries(st.integers(1, 2**31) | st.text(max_size=15), st.builds(Counters, *[counts] * 9)),
    st.booleans(),
)
def test_any_counters_are_loaded_unchanged(tmp_path_factory, counters, low):
    """Any interface and any counter; of one that went back, the value from before."""
    saved = SavedState(tmp_path_factory.getbasetemp() / "any.json", BOOT, pytest.fail)
    marks = {key: Baseline(Counters(), each) if low else Baseline(each) for key, each in counters.items()}
    saved.save(MonitorState(marks, AlertState()))
    assert saved.load().reported == {key: Baseline(each) for key, each in counters.items()}


def test_there_is_no_state_at_first(saved, log):
    """A file that is missing is not logged."""
    assert (saved.load(), log) == (None, [])


def test_of_another_boot_the_counters_are_not_loaded(saved, tmp_path, log):
    """The alerts are, without indexes, carrier changes and links that are gone."""
    saved.save(MonitorState(COUNTERS, busy_state()))
    loaded = SavedState(tmp_path / "state.json", "another", log.append).load()
    assert (loaded.reported, log) == (None, [])
    assert ages_apart(loaded.alerts.alerts) == ages_apart(busy_state().alerts)
    links = loaded.alerts.links
    known = [[each.seen_up, each.index, each.kind, each.carrier_changes] for each in links.present.values()]
    assert (known, links.gone) == ([[True, None, None, None]] * 4, {})


def ages_apart(alerts):
    """The alerts without their age."""
    return {key: replace(alert, since_s=0.0) for key, alert in alerts.items()}


def plain():
    """The content of a file."""
    recorded = {}
    original, saved_state.write_atomically = (
        saved_state.write_atomically,
        lambda _, data: recorded.update(json.loads(data)),
    )
    try:
        SavedState(Path("none"), BOOT, pytest.fail).save(MonitorState(COUNTERS, busy_state()))
    finally:
        saved_state.write_atomically = original
    return recorded


def places(value, path=()):
    """The path of every value in a file."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def changed(value, path, new):
    """A copy with another value at one place."""
    if not path:
        return new
    value = copy.deepcopy(value)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = new
    return value


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0\0", b"{", b"[" * 100_000, b"\xff", b"[]", b"null", b'"boot"', b"{}", b'{"version": NaN}'],
)
def test_a_damaged_file_is_logged_and_not_used(saved, tmp_path, log, damage):
    """The log has one line; the next save replaces the file."""
    (tmp_path / "state.json").write_bytes(damage)
    assert saved.load() is None
    assert len(log) == 1
    assert "state.json cannot be read" in log[0]
    saved.save(MonitorState(COUNTERS, AlertState()))
    assert saved.load().reported == COUNTERS


def test_whatever_a_file_has_in_one_place_the_next_check_is_made(tmp_path):
    """Each value of the file is replaced by each of these: the state is refused, or a check continues it."""
    whole, refused, accepted = plain(), 0, 0
    for path in places(whole):
        for new in (None, True, -1, 1e400, "x", [], {}, [[]], 10**40, 2**70, float("nan")):
            (tmp_path / "state.json").write_text(json.dumps(changed(whole, path, new)))
            lines = []
            loaded = SavedState(tmp_path / "state.json", BOOT, lines.append).load()
            assert len(lines) == (loaded is None)
            refused, accepted = refused + (loaded is None), accepted + (loaded is not None)
            if loaded is not None:
                host = CheckedHost()
                host.state = loaded.alerts
                json.dumps(host.check(nic("eth1", up=False, index=1, kind="")).as_content(), allow_nan=False)
                observe_interfaces(None, loaded.reported, reading(3))
    assert min(refused, accepted) > 100


def test_a_folder_in_place_of_the_file_is_logged(saved, tmp_path, log):
    """Failed reads and writes are logged once each and raise nothing."""
    (tmp_path / "state.json").mkdir()
    assert saved.load() is None
    saved.save(MonitorState(COUNTERS, AlertState()))
    saved.save(MonitorState(COUNTERS, AlertState()))
    assert [line.partition(" (")[0].rpartition("/")[2] for line in log] == [
        "state.json cannot be read",
        "state.json cannot be written",
    ]


def test_a_full_disk_is_logged_at_begin_and_end(saved, tmp_path, log):
    """The state saved before stays; no partial file is left."""
    before, after = MonitorState(COUNTERS, AlertState()), MonitorState({}, AlertState())
    saved.save(before)
    fault = FileSizeLimit(tmp_path)
    fault.begin()
    with fault.active():
        saved.save(after)
        saved.save(after)
    assert (saved.load().reported, os.listdir(tmp_path)) == (COUNTERS, ["state.json"])
    saved.save(after)
    saved.save(after)
    assert saved.load().reported == {}
    assert [re.sub(r".*state.json (.*?)( \(.*)?$", r"\1", line) for line in log] == [
        "cannot be written",
        "can be written again",
    ]


def reading(drops):
    """One interface with a number of dropped packets."""
    return LinkReading(0.0, (Link("eth0", True, index=2, counters=Counters(tx_drops=drops, tx_packets=100)),))


def test_a_respawned_monitor_reports_each_error_once(saved):
    """Errors between the last check of one process and the first of the next are reported once."""
    seen = []
    for before, after in ((5, 7), (7, 9)):
        now = iter((reading(before), reading(after)))
        monitor = Monitor(saved=saved.load(), readers=(replace(PORTABLE, links=now.__next__),))
        report = monitor.check()
        seen.append((report.metrics["interfaces"][0]["new_drops"], "(since boot)" in report.details))
        saved.save(monitor.state)
    assert seen == [(7, True), (2, False)]


def restarted(saved, host, clock, *, off_s, on_s=0.0, boot=BOOT, **config):
    """The host of the next process: after ``off_s`` by the wall clock, and ``on_s`` after a boot."""
    clock.now_s, clock.epoch = host.now_s, EPOCH + host.now_s
    saved.save(MonitorState(None, host.state))
    clock.epoch += off_s
    clock.now_s = clock.now_s + off_s if boot == BOOT else on_s
    after = CheckedHost(**config)
    after.state, after.now_s = SavedState(saved._path, boot, pytest.fail).load().alerts, clock.now_s - 30
    return after


DOWN = {"index": 2, "kind": "", "up": False, "operstate": "down", "carrier_changes": 5}
UP = {"index": 2, "kind": "", "up": True, "operstate": "up", "carrier_changes": 4}


def test_an_alert_lasts_over_a_restart(saved, clock):
    """It keeps its age and its count, becomes CRITICAL, is not new again, and its end is reported."""
    config = {"report_on": "change", "critical_after_checks": 3}
    host = CheckedHost(**config)
    host.check(nic(**UP))
    host.check(nic(**DOWN))
    host.check(nic(**DOWN))
    host = restarted(saved, host, clock, off_s=60, **config)
    first = host.check(nic(**DOWN))
    assert (first.details, first.severity, first.due) == ("eth0 is down", "CRITICAL", True)
    assert first.changes == ("CRITICAL: eth0 is down",)
    (alert,) = first.metrics["alerts"]
    assert (alert["since"], alert["lasted_s"], alert["checks"]) == (EPOCH + 5060, 90.0, 3)
    host = restarted(saved, host, clock, off_s=60, **config)
    second = host.check(nic(**DOWN))
    assert (second.severity, second.due, second.changes) == ("CRITICAL", True, ())
    end = restarted(saved, host, clock, off_s=60, **config).check(nic(**UP))
    assert end.details == f"{QUIET} Recovered: eth0 link after 3 min 30 s."


def test_a_link_that_goes_down_while_the_agent_is_not_running_is_reported(saved, clock):
    """It was up at the last check before, and is down at the first one after."""
    host = CheckedHost()
    host.check(nic(**UP))
    assert restarted(saved, host, clock, off_s=600).check(nic(**DOWN)).details == "eth0 is down"


@pytest.mark.parametrize(
    ("before", "after", "details"),
    [
        ([nic(**UP)], [nic(**DOWN | {"index": 3})], "eth0 is down"),
        ([nic(**UP)], [nic(**UP | {"index": 3})], QUIET),
        ([nic(**DOWN)], [nic(**DOWN)], QUIET),
        ([nic(**UP)], [], QUIET),
        ([nic(**UP)], [nic("enp3s0", **DOWN)], QUIET),
    ],
)
def test_after_a_boot_a_link_that_was_up_before_is_down(saved, clock, before, after, details):
    """Whatever its index is now; one that was removed while the host was off is not gone."""
    host = CheckedHost()
    host.check(*before)
    assert restarted(saved, host, clock, off_s=300, on_s=40, boot="another").check(*after).details == details


@pytest.mark.parametrize(
    ("off_s", "on_s", "lasted_s"),
    [(300, 40, 330.0), (20, 40, 70.0), (-5000, 40, 70.0), (20_000 * 86400, 40, 70.0)],
    ids=["true clock", "clock set back a little", "clock set back", "clock was 1970"],
)
def test_after_a_boot_the_wall_clock_says_how_old_an_alert_is(saved, clock, off_s, on_s, lasted_s):
    """If it was set meanwhile, the age is that when it was saved, and the time since the boot."""
    host = CheckedHost()
    host.check(nic(**UP))
    host.check(nic(**DOWN))
    host.check(nic(**DOWN))
    after = restarted(saved, host, clock, off_s=off_s, on_s=on_s, boot="another")
    assert after.check(nic(**DOWN)).metrics["alerts"][0]["lasted_s"] == lasted_s


def test_a_clock_that_is_behind_the_saved_one_makes_no_negative_age(saved, clock):
    """In another time namespace the monotonic clock of the same boot may be behind."""
    host = CheckedHost()
    host.check(nic(**UP))
    host.check(nic(**DOWN))
    clock.now_s, clock.epoch = host.now_s, EPOCH + host.now_s
    saved.save(MonitorState(None, host.state))
    clock.now_s, clock.epoch = 10.0, clock.epoch + 60
    assert saved.load().alerts.alerts["link", "eth0"].since_s == pytest.approx(-50.0)


def test_an_alert_that_ends_with_changed_settings_says_so(saved, clock):
    """The settings of the process before are those that the new ones are compared with."""
    host = CheckedHost(tx_threshold_mbps=250)
    host.rates(300.0)
    after = restarted(saved, host, clock, off_s=60, tx_threshold_mbps=400)
    assert after.rates(300.0)[0].metrics["ended"][0]["reason"] == "settings"


def test_settings_of_another_version_are_left_out(saved, tmp_path):
    """A value that this version refuses costs nothing else."""
    content = changed(plain(), ("alerting", "settings"), {"tx_threshold_mbps": "many"})
    (tmp_path / "state.json").write_text(json.dumps(content))
    assert saved.load() == MonitorState(COUNTERS, replace(busy_state(), settings=None))
    assert busy_state().settings == Settings.from_mapping(plain()["alerting"]["settings"])


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


def test_without_proc_the_clocks_give_the_boot_id(monkeypatch):
    """It is the moment of the boot, and stays the same while the wall clock is corrected by a second."""
    now, running = 1.7e9 + 300, 86400.0
    monkeypatch.setattr(portable.psutil, "boot_time", Mock(side_effect=FileNotFoundError))
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: running}.__getitem__)
    found = set()
    for correction in (-1, 0, 1):
        monkeypatch.setattr(time, "time", lambda at=now + correction: at)
        found.add(portable.boot_id())
    assert found == {f"boot-{(now - running) // 600 * 600:.0f}"}
