"""The library in someone's own program: checks on schedule, several threads, what is open and closed."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from importlib.metadata import version
from itertools import islice
from unittest.mock import patch

import pytest

import network_health
from network_health import Monitor, Settings, SettingsError
from network_health.model import Connections, Counters, Link, LinkReading, ProcessReading
from network_health.sources import Readers
from tests.running_kernel import needs_tracepoints

LINK = Link("eth0", True, 2, 1000, counters=Counters())
#: More than enough for an event in a thread on a loaded machine.
DEADLINE_S = 60


def readers_with(**replaced):
    """Readers of a host with one idle link."""
    readers = Readers(
        name="fake",
        links=lambda: LinkReading(time.monotonic(), (LINK,)),
        connections=lambda: Connections({"LISTEN": 1}),
        processes=lambda: ProcessReading(time.monotonic(), ()),
        process_details=lambda pids: {},
    )
    return replace(readers, **replaced)


class Clock:
    """The clock of the monitor's module; sleeping moves it."""

    def __init__(self):
        self.now_s = 1000.0

    def sleep(self, seconds):
        self.now_s += seconds


@pytest.fixture
def clock():
    clock = Clock()
    with patch("network_health.monitor.time") as module:
        module.monotonic = module.time = lambda: clock.now_s
        module.sleep = clock.sleep
        yield clock


def seconds_of(reports):
    return [report.timestamp - 1000 for report in reports]


def test_the_version_is_that_of_the_distribution():
    """Known without the metadata of an installed distribution, whose version it is."""
    assert network_health.__version__ == version("matrixswarm-network-health")


def test_every_public_name_can_be_listed_and_imported():
    """`dir` has the names that are imported on first use; another name is an AttributeError."""
    assert dir(network_health) == sorted(network_health.__all__)
    assert all(getattr(network_health, name) for name in network_health.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Monitr'"):
        network_health.Monitr  # noqa: B018 - the access raises


def test_checks_start_every_interval(clock):
    """The first starts after one interval; the time that the loop takes is not added."""
    seconds = []
    for report in islice(Monitor(readers=[readers_with()]).checks(5), 4):
        seconds += seconds_of([report])
        clock.sleep(4)
    assert seconds == [5, 10, 15, 20]


def test_missed_checks_are_skipped(clock):
    """After a loop of 12 s the check that is late comes at once, and the next one where it belongs."""
    checks = Monitor(readers=[readers_with()]).checks(5)
    reports = [next(checks), next(checks)]
    clock.sleep(12)
    reports += [next(checks), next(checks)]
    assert seconds_of(reports) == [5, 10, 22, 25]


def test_the_interval_is_that_of_the_settings(clock):
    """If none is given."""
    monitor = Monitor(Settings(check_interval_sec=7), readers=[readers_with()])
    assert seconds_of(islice(monitor.checks(), 2)) == [7, 14]


def test_peaks_are_sampled_between_two_checks(clock):
    """Once a second from the check before."""
    sampled = []
    monitor = Monitor(readers=[readers_with()])
    with patch.object(monitor, "sample", lambda: sampled.append(clock.now_s - 1000)):
        assert seconds_of(islice(monitor.checks(2.5), 2)) == [2.5, 5]
    assert sampled == [0, 1, 2, 2.5, 3.5, 4.5]


def test_the_peaks_of_a_host_are_known():
    """In a window that is too long for a peak without a sample."""
    with Monitor() as monitor:
        report = next(monitor.checks(3))
    peaks = [(each.tx_peak_mbps, each.rx_peak_mbps) for each in report.interfaces if each.link.name == "lo"]
    assert len(peaks) == 1
    assert None not in peaks[0]


def test_leaving_the_loop_ends_the_checks(clock):
    """A loop that is left, and begun again, has its own schedule; nothing checks in between."""
    read = []
    connections = Connections({"LISTEN": 1})
    monitor = Monitor(readers=[readers_with(connections=lambda: read.append(clock.now_s) or connections)])
    for _ in monitor.checks(5):
        break
    clock.sleep(60)
    for _ in monitor.checks(5):
        break
    assert read == [1005, 1070]


@pytest.mark.parametrize("interval_s", [0, -1, 0.05, 86401, "30", True, float("nan"), [30]], ids=repr)
def test_an_interval_that_is_not_allowed_is_refused_at_once(interval_s):
    """Where `checks` is called, before the first check, with what is allowed."""
    monitor = Monitor(readers=[readers_with()])
    with pytest.raises(SettingsError) as caught:
        monitor.checks(interval_s)
    sentence = f"interval_s: {interval_s!r} is not allowed; give a number of seconds from 0.1 to 86400"
    assert str(caught.value) == sentence


def test_settings_of_another_type_are_refused_between_checks():
    """The monitor keeps those that it has: its next check must not raise."""
    monitor = Monitor(Settings(conn_threshold=5), readers=[readers_with()])
    with pytest.raises(TypeError, match="Monitor takes Settings, not dict: give "):
        monitor.settings = {"conn_threshold": 0}
    assert monitor.settings == Settings(conn_threshold=5)


def test_a_check_without_a_pause_has_no_rates():
    """They are unknown: nothing can be measured in no time."""
    with Monitor() as monitor:
        monitor.check()
        report = monitor.check()
    assert report.interfaces
    assert {(each.tx_mbps, each.rx_mbps) for each in report.interfaces} == {(None, None)}
    assert all(entry["unknown"] for entry in report.metrics["interfaces"])


def test_threads_check_one_after_the_other():
    """Each of them gets complete reports: no collector runs twice at a time, or is left out."""
    running, most = [], []

    def connections():
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)
        running.pop()
        return Connections({"LISTEN": 1})

    monitor, reports = Monitor(readers=[readers_with(connections=connections)]), []

    def check():
        for _ in range(10):
            monitor.sample()
            reports.append(monitor.check())
            assert monitor.state

    threads = [threading.Thread(target=check) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    assert set(most) == {1}
    assert len(reports) == 40
    assert {report.failures for report in reports} == {()}


def test_a_sample_does_not_wait_for_a_check():
    """It may be called in an event loop while another thread checks."""
    began, end = threading.Event(), threading.Event()

    def connections():
        began.set()
        assert end.wait(DEADLINE_S)
        return Connections({"LISTEN": 1})

    monitor = Monitor(readers=[readers_with(connections=connections)], collector_timeout_s=DEADLINE_S)
    thread = threading.Thread(target=monitor.check)
    thread.start()
    assert began.wait(DEADLINE_S)
    monitor.sample()
    assert thread.is_alive()
    end.set()
    thread.join(DEADLINE_S)
    assert not thread.is_alive()


def test_a_signal_handler_may_check():
    """During a check, in the same thread: neither waits for ever; the inner one lacks what is being read."""
    reports, end = [], threading.Event()

    def connections():
        os.kill(os.getpid(), signal.SIGUSR1)
        assert end.wait(DEADLINE_S)
        return Connections({"LISTEN": 1})

    def handle(*_):
        reports.append(monitor.check())
        end.set()

    monitor = Monitor(readers=[readers_with(connections=connections)], collector_timeout_s=DEADLINE_S)
    before = signal.signal(signal.SIGUSR1, handle)
    try:
        reports.append(monitor.check())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert [[failure.collector for failure in report.failures] for report in reports] == [["connections"], []]


def opened():
    """What this process has open, and its threads of readings."""
    files = set()
    for name in os.listdir("/proc/self/fd"):
        try:
            files.add((name, os.readlink(f"/proc/self/fd/{name}")))
        except OSError:
            continue  # the one that lists them
    return files, [each for each in threading.enumerate() if each.name == "interface-counters"]


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's readers need Linux")
def test_a_monitor_closes_what_it_opened():
    """Sockets and a thread; after that, another check opens them again, and they can be closed again."""
    files, threads = opened()
    with Monitor() as monitor:
        for _ in range(2):
            monitor.check()
            monitor.sample()
            now_files, now_threads = opened()
            assert len(now_files - files) >= 2
            assert len(now_threads) == len(threads) + 1
            monitor.close()
            assert opened()[0] - files == set()
            assert opened()[1] == threads


@pytest.mark.root
@needs_tracepoints
def test_programs_of_a_monitor_that_nobody_closed_are_detached():
    """When it is collected: else they would count the calls of the whole host until this process ends."""
    gc.collect()
    files, _ = opened()
    monitor = Monitor(Settings(process_network="always", bpf=True))
    monitor.check()
    assert "anon_inode:bpf-prog" in {target for _, target in opened()[0] - files}
    del monitor
    gc.collect()
    assert [target for _, target in opened()[0] - files if "bpf" in target] == []


def test_a_program_that_closes_its_monitor_has_no_warning():
    """With the warnings of Python about what is never closed."""
    code = (
        "from network_health import Monitor\n"
        "with Monitor() as monitor:\n"
        "    for report in monitor.checks(0.2):\n"
        "        break\n"
    )
    words = [sys.executable, "-W", "error::ResourceWarning", "-c", code]
    done = subprocess.run(words, capture_output=True, text=True, timeout=DEADLINE_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
