"""Simulates a day of checks: memory does not grow, no check is missing, and the schedule does not drift."""

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
from tests.random_host import COLLECTORS, EPOCH, Clock, RandomHost

pytestmark = pytest.mark.slow

INTERVAL_S = 30
CHECKS = 24 * 3600 // INTERVAL_S
QUARTER = CHECKS // 4
#: The host is reset for so many checks at the end of each quarter, longer than a flapping is remembered.
RESET = 10
FIRST_S = 4096.125
#: In these checks reading the connections does not return.
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
    """Runs a day of checks and records what they report; ``due_s`` and ``seen_at`` have one entry a check."""

    def __init__(self):
        self.clock = Clock(FIRST_S - 1)
        self.host = RandomHost(self.clock, 7, INTERVAL_S)
        self.monitor = self.new_monitor()
        self.due_s, self.seen_at = array("d", bytes(8 * CHECKS)), array("d", bytes(8 * CHECKS))
        self.counts, self.active = Counter(), set()
        self.largest_report = self.most_threads = 0
        self.failures_match = True
        self.traced, self.kept, self.fresh = [], [], []

    def new_monitor(self):
        """A monitor of the host in its present state."""
        return Monitor(SETTINGS, readers=[self.host.readers()], collector_timeout_s=2.0)

    def run(self):
        """Make all checks, each up to a second late, as in the agent."""
        schedule, lateness = Schedule(FIRST_S, INTERVAL_S), random.Random(8)
        for number in range(CHECKS):
            self.due_s[number] = schedule.due_s
            self.clock.now_s = schedule.due_s + lateness.random()
            schedule.started(self.clock.now_s)
            self.change_host(number)
            self.record(number, self.monitor.check())
            if number % QUARTER == QUARTER - 1:
                self.measure_memory()

    def change_host(self, number):
        """Change the host before this check."""
        if number % QUARTER >= QUARTER - RESET:
            self.host.reset()
        else:
            self.host.advance()
        if number == STUCK.start:
            self.host.stuck = threading.Event()
        if number == STUCK.stop:
            self.host.stuck.set()
            self.host.stuck = None
            for thread in collector_threads():
                thread.join()
        if number == CHECKS // 2:
            self.clock.set_back_s = 3600.0  # the wall clock is corrected

    def record(self, number, report):
        """Record the facts of a report, in memory of constant size."""
        content = report.as_content()
        self.seen_at[number] = content["timestamp"]
        metrics = content["metrics"]
        self.counts["reports"] += report.due
        self.counts[report.severity] += 1
        active = set(keys(metrics.get("alerts", [])))
        resolved = metrics.get("recovered", []) + metrics.get("ended", [])
        self.counts["begun"] += len(active - self.active)
        self.counts["resolved"] += len(resolved)
        self.counts["resolved out of order"] += set(keys(resolved)) != self.active - active
        self.counts["lasted too long"] += any(not 0 < end["lasted_s"] < 24 * 3600 for end in resolved)
        self.active = active
        failed = {failure["collector"] for failure in metrics.get("failures", [])}
        self.counts.update(failed)
        stuck = {"connections"} if self.host.stuck else set()
        self.failures_match &= failed == self.host.failing | stuck
        self.largest_report = max(self.largest_report, len(json.dumps(content, allow_nan=False)))
        self.most_threads = max(self.most_threads, len(collector_threads()))

    def measure_memory(self):
        """Measure the memory in use, the size of the monitor's state, and that of a new monitor."""
        gc.collect()
        self.traced.append(tracemalloc.get_traced_memory()[0])
        self.kept.append(state_size(self.monitor))
        fresh = self.new_monitor()
        fresh.check()
        self.fresh.append(state_size(fresh))


def state_size(of):
    """The size in bytes of the state that a monitor keeps from check to check."""
    collectors = of.interfaces, of.connections, of.processes, of.protocols
    return len(pickle.dumps(([each.last for each in collectors], of.state, of.settings)))


def collector_threads():
    """The threads in which collectors run."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("collector-")]


@pytest.fixture(scope="module")
def day():
    """A day whose checks have all been made."""
    simulated = Day()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitor, "time", simulated.clock)
        tracemalloc.start()
        try:
            simulated.run()
        finally:
            tracemalloc.stop()
    return simulated


def test_the_day_had_all_kinds_of_events(day):
    """Interfaces and processes came and went, alerts of each severity began, each collector failed."""
    print(day.counts, day.host.created, day.traced, day.kept, day.fresh, day.largest_report)
    assert day.host.created["links"] > 300
    assert day.host.created["processes"] > 300
    assert day.counts["begun"] > 200
    assert all(day.counts[severity] > 100 for severity in ("INFO", "WARNING", "CRITICAL"))
    assert all(day.counts[collector] > 10 for collector in COLLECTORS)


def test_there_is_a_report_for_each_check(day):
    """There are 2,880 reports, and each names exactly the failures of its check."""
    assert CHECKS == 2880
    assert day.counts["reports"] == CHECKS
    assert day.failures_match


def test_every_alert_is_resolved(day):
    """Each alert ends once, in the right order, with a duration by the monotonic clock."""
    assert day.active == set()
    assert day.counts["begun"] == day.counts["resolved"]
    assert day.counts["resolved out of order"] == 0
    assert day.counts["lasted too long"] == 0


def test_the_schedule_does_not_drift(day):
    """Check k is due exactly k intervals after the first, and its observation is less than a second later."""
    assert list(day.due_s) == [FIRST_S + number * INTERVAL_S for number in range(CHECKS)]
    for number, seen_at in enumerate(day.seen_at):
        set_back_s = 3600 if number >= CHECKS // 2 else 0
        assert 0 <= seen_at + set_back_s - EPOCH - day.due_s[number] < 1


def test_memory_is_flat(day):
    """After half a day, when the interpreter's own caches are full, memory does not grow."""
    assert max(day.traced[2:]) - day.traced[1] < 8 * 1024


def test_the_state_depends_only_on_the_present_host(day):
    """After a day a monitor's state is as large as that of a new one."""
    assert day.kept == day.fresh


def test_the_size_of_a_report_is_bounded(day):
    """A report does not grow with the number of checks before it."""
    assert day.largest_report < 16 * 1024


def test_a_hanging_collector_uses_one_thread(day):
    """It stays one thread over a hundred checks, and ends when the read returns."""
    assert day.most_threads == 1
    assert collector_threads() == []
