"""A day of checks in seconds: nothing piles up, nothing is left out, and the schedule does not drift."""

import gc
import json
import pickle
import random
import threading
import tracemalloc
from array import array
from collections import Counter

import pytest

from network_health import Monitor, Settings, monitor
from network_health.delivery.schedule import Schedule
from tests.checked_host import keys
from tests.made_up_host import COLLECTORS, EPOCH, Clock, Host

INTERVAL_S = 30
CHECKS = 24 * 3600 // INTERVAL_S
QUARTER = CHECKS // 4
#: At the end of each quarter the host rests for so many checks, longer than a flapping is remembered.
REST = 10
FIRST_S = 4096.125
#: In these checks the connections cannot be read, and whoever tries waits.
STUCK = range(1000, 1100)
SETTINGS = Settings(
    alert_after_checks=2,
    clear_percent=80,
    critical_after_checks=4,
    retransmit_threshold_percent=2,
    listen_overflow_threshold_per_sec=1,
    udp_error_threshold_per_sec=10,
    softnet_threshold_per_sec=1,
    conntrack_threshold_percent=75,
)


class Day:
    """A monitor's day, and what was noticed; ``due_s`` and ``seen_at`` have one entry a check."""

    def __init__(self):
        self.clock = Clock(FIRST_S - 1)
        self.host = Host(self.clock, 7, INTERVAL_S)
        self.monitor = self.begin()
        self.due_s, self.seen_at = array("d", bytes(8 * CHECKS)), array("d", bytes(8 * CHECKS))
        self.counts, self.standing = Counter(), set()
        self.largest_report = self.most_threads = 0
        self.failures_are_the_hosts = True
        self.traced, self.kept, self.fresh = [], [], []

    def begin(self):
        """A monitor of the host as it is now."""
        return Monitor(SETTINGS, readers=[self.host.readers()], collector_timeout_s=2.0)

    def pass_by(self):
        """All checks, each a little late, as the agent's slices of a second make it."""
        schedule, lateness = Schedule(FIRST_S, INTERVAL_S), random.Random(8)
        for number in range(CHECKS):
            self.due_s[number] = schedule.due_s
            self.clock.now_s = schedule.due_s + lateness.random()
            schedule.started(self.clock.now_s)
            self.happen(number)
            self.note(number, self.monitor.check())
            if number % QUARTER == QUARTER - 1:
                self.take_stock()

    def happen(self, number):
        """What the host does before this check."""
        if number % QUARTER >= QUARTER - REST:
            self.host.rest()
        else:
            self.host.live()
        if number == STUCK.start:
            self.host.stuck = threading.Event()
        if number == STUCK.stop:
            self.host.stuck.set()
            self.host.stuck = None
            for thread in collectors():
                thread.join()
        if number == CHECKS // 2:
            self.clock.set_back_s = 3600.0  # somebody corrects the wall clock

    def note(self, number, report):
        """What a report says, in no more space than the one before took."""
        content = report.as_content()
        self.seen_at[number] = content["timestamp"]
        metrics = content["metrics"]
        self.counts["reports"] += report.due
        self.counts[report.severity] += 1
        stands = set(keys(metrics.get("alerts", [])))
        over = metrics.get("recovered", []) + metrics.get("ended", [])
        self.counts["begun"] += len(stands - self.standing)
        self.counts["over"] += len(over)
        self.counts["over out of order"] += set(keys(over)) != self.standing - stands
        self.counts["lasted too long"] += any(not 0 < end["lasted_s"] < 24 * 3600 for end in over)
        self.standing = stands
        failed = {failure["collector"] for failure in metrics.get("failures", [])}
        self.counts.update(failed)
        stuck = {"connections"} if self.host.stuck else set()
        self.failures_are_the_hosts &= failed == self.host.refusing | stuck
        self.largest_report = max(self.largest_report, len(json.dumps(content, allow_nan=False)))
        self.most_threads = max(self.most_threads, len(collectors()))

    def take_stock(self):
        """How much is in memory, how much of it the monitor keeps, and how much a new one would."""
        gc.collect()
        self.traced.append(tracemalloc.get_traced_memory()[0])
        self.kept.append(kept(self.monitor))
        fresh = self.begin()
        fresh.check()
        self.fresh.append(kept(fresh))


def kept(of):
    """The size of all that a monitor keeps from check to check, in bytes."""
    runners = of.interfaces, of.connections, of.processes, of.protocols
    return len(pickle.dumps(([runner.last for runner in runners], of.reported, of._alerts, of.settings)))


def collectors():
    """The threads in which collectors run."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("collector-")]


@pytest.fixture(scope="module")
def day():
    """The day, gone by."""
    passing = Day()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor, "time", passing.clock)
        tracemalloc.start()
        try:
            passing.pass_by()
        finally:
            tracemalloc.stop()
    return passing


def test_it_was_a_day_of_life(day):
    """Interfaces and processes came and went, alerts of each severity began, every collector failed."""
    print(day.counts, day.host.born, day.traced, day.kept, day.fresh, day.largest_report)
    assert day.host.born["links"] > 300
    assert day.host.born["processes"] > 300
    assert day.counts["begun"] > 200
    assert all(day.counts[severity] > 100 for severity in ("INFO", "WARNING", "CRITICAL"))
    assert all(day.counts[collector] > 10 for collector in COLLECTORS)


def test_there_is_a_report_for_each_check(day):
    """2,880 of them, each of what was seen then, and of every failure there was and no other."""
    assert CHECKS == 2880
    assert day.counts["reports"] == CHECKS
    assert day.failures_are_the_hosts


def test_every_alert_that_began_has_ended(day):
    """Each once, whatever became of its subject, in the right order and by the clock that only goes on."""
    assert day.standing == set()
    assert day.counts["begun"] == day.counts["over"]
    assert day.counts["over out of order"] == 0
    assert day.counts["lasted too long"] == 0


def test_the_schedule_does_not_drift(day):
    """Start k lies exactly k intervals after the first, and each observation within its own second."""
    assert list(day.due_s) == [FIRST_S + number * INTERVAL_S for number in range(CHECKS)]
    for number, seen_at in enumerate(day.seen_at):
        set_back_s = 3600 if number >= CHECKS // 2 else 0
        assert 0 <= seen_at + set_back_s - EPOCH - day.due_s[number] < 1


def test_memory_is_flat(day):
    """After half a day, when the interpreter's own stores are full, nothing is added any more."""
    assert max(day.traced[2:]) - day.traced[1] < 8 * 1024


def test_what_is_kept_depends_on_what_is_there_now(day):
    """A monitor that has seen a day keeps as much as one that has just begun."""
    assert day.kept == day.fresh


def test_a_report_is_bounded_by_the_host(day):
    """However much has happened before it."""
    assert day.largest_report < 16 * 1024


def test_a_hanging_collector_is_one_thread(day):
    """A hundred checks passed it by, and it was started again when it was back."""
    assert day.most_threads == 1
    assert collectors() == []
