"""An error, a timeout or a change of reader affects only its own collector."""

import gc
import itertools
import json
import resource
import threading
import time
from dataclasses import replace

import pytest

from network_health import Monitor, Settings
from network_health.model import Connections, Link, LinkReading, ProcessDetails, ProcessReading, ProcessSample
from network_health.sources import Background
from network_health.sources.readers import available_readers
from tests.rights import as_nobody

NOTHING = ProcessReading(0.0, ())


def readers(name="fake", **functions):
    """Readers with fixed answers, except for ``functions``."""
    answers = {
        "links": lambda: LinkReading(0.0, (Link("eth0", up=True),)),
        "connections": lambda: Connections({"LISTEN": 1}),
        "processes": lambda: NOTHING,
        "process_details": lambda pids: {},
    }
    # The other functions of this system's readers are kept.
    return replace(available_readers()[-1], name=name, **(answers | functions))


def deny_access(*_):
    raise PermissionError(13, "Permission denied")


PARTS = [
    ("links", "interfaces", {"interfaces"}),
    ("connections", "connections", {"total_connections", "by_status"}),
    ("processes", "processes", {"top_procs"}),
    ("process_details", "processes", {"top_procs"}),
]


@pytest.mark.parametrize(("function", "collector", "lost"), PARTS)
def test_one_failing_collector_leaves_the_others(function, collector, lost):
    """Its metrics are left out, its failure is named, and the report is not healthy."""
    report = Monitor(readers=[readers(**{function: deny_access})]).check()
    assert (report.status, report.severity) == ("check_failed", "WARNING")
    assert report.metrics["failures"] == [
        {"collector": collector, "reason": "PermissionError: [Errno 13] Permission denied"}
    ]
    metrics = {"interfaces", "total_connections", "by_status", "top_procs"}
    assert metrics & set(report.metrics) == metrics - lost
    assert collector in report.details


def test_a_finding_takes_precedence_over_a_failure():
    """With a finding the details have only that; the failure is in the metrics."""
    monitor = Monitor(Settings(conn_threshold=0), readers=[readers(processes=deny_access)])
    report = monitor.check()
    assert (report.status, report.details) == ("network_issue", "High connection count: 1 > 0")
    assert [f["collector"] for f in report.metrics["failures"]] == ["processes"]


def test_a_collector_that_timed_out_is_not_started_again_while_it_runs():
    """After a timeout it is not called again until its last run has ended."""
    release, calls = threading.Event(), []

    def hang():
        calls.append(1)
        release.wait(30)
        return Connections({"LISTEN": len(calls)})

    monitor = Monitor(readers=[readers(connections=hang)], collector_timeout_s=0.05)
    first, second = monitor.check(), monitor.check()
    assert "no answer within 0.05 s" in first.metrics["failures"][0]["reason"]
    assert "not started again" in second.metrics["failures"][0]["reason"]
    assert len(calls) == 1
    assert first.metrics["interfaces"]
    release.set()
    for thread in threading.enumerate():
        if thread.name == "collector-connections":
            thread.join(5)
    assert monitor.check().metrics["by_status"] == {"LISTEN": 2}


def test_a_late_answer_is_discarded():
    """The answer of a run that timed out is never compared with a later one."""
    release = threading.Event()
    moments = iter([0.0, 100.0, 101.0])

    def late():
        at_s = next(moments)
        if at_s == 100.0:
            release.wait(30)
        return LinkReading(at_s, ())

    monitor = Monitor(readers=[readers(links=late)], collector_timeout_s=0.05)
    assert monitor.check().metrics["failures"][0]["collector"] == "interfaces"
    release.set()
    for thread in threading.enumerate():
        if thread.name == "collector-interfaces":
            thread.join(5)
    assert "failures" not in monitor.check().metrics


def test_if_one_reader_is_denied_access_the_next_one_is_used():
    """The report is complete and names the reader; the next check tries the first one again."""
    calls = []

    def denied():
        calls.append(1)
        deny_access()

    monitor = Monitor(readers=[readers("kernel", connections=denied), readers("psutil")])
    for _ in range(2):
        report = monitor.check()
        assert report.metrics["check"]["readers"]["connections"] == "psutil"
        assert report.metrics["check"]["readers"]["interfaces"] == "kernel"
        assert report.status == "healthy"
    assert len(calls) == 2


def test_samples_of_different_readers_are_not_compared():
    """Readers have different units for the start of a process: there is no CPU use across a change."""
    moments = itertools.count(1.0)
    has_access = iter([False, True, True])

    def process(started, cpu_s):
        return ProcessReading(next(moments), (ProcessSample(1, "p", started, cpu_s, 0),))

    def kernel():
        if not next(has_access):
            deny_access()
        return process(started=555, cpu_s=100.0)

    details = {"process_details": lambda pids: {1: ProcessDetails()}}
    monitor = Monitor(
        readers=[
            readers("kernel", processes=kernel, **details),
            readers("psutil", processes=lambda: process(started=1.5, cpu_s=99.0), **details),
        ]
    )
    for _ in range(2):
        report = monitor.check()
        assert report.metrics["check"]["readers"]["processes"] == "kernel"
        assert report.metrics["top_procs"][0]["cpu_percent"] == 0.0


def test_the_cost_of_a_check_is_in_its_report():
    """It has the milliseconds in total and of each collector."""
    check = Monitor(readers=[readers()]).check().metrics["check"]
    assert set(check["collectors"]) >= {"interfaces", "connections", "processes"}
    assert check["total_ms"] >= max(check["collectors"].values())


def test_garbage_is_collected_again_after_a_check():
    """It is off while a collector runs, also if that fails or hangs, and stays off if it was off before."""
    release, seen = threading.Event(), []

    def hang():
        seen.append(gc.isenabled())
        release.wait(30)

    monitor = Monitor(readers=[readers(connections=hang, processes=deny_access)], collector_timeout_s=0.05)
    monitor.check()
    assert (seen, gc.isenabled()) == ([False], True)
    release.set()
    gc.disable()
    try:
        Monitor(readers=[readers()]).check()
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.root
def test_without_a_thread_the_check_is_complete():
    """Where the system starts no thread, collectors run in place: the report has no failure."""
    monitor = Monitor(Settings(conn_threshold=-1))

    def check():
        resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
        with pytest.raises(RuntimeError, match="can't start new thread"):
            threading.Thread(target=print).start()
        report = monitor.check()
        return json.dumps(
            [report.status, sorted(report.metrics["check"]["collectors"]), "failures" in report.metrics]
        )

    collectors = ["connections", "culprits", "interfaces", "namespaces", "processes", "protocols"]
    assert json.loads(as_nobody(check)) == ["network_issue", collectors, False]


def test_without_a_thread_an_error_is_still_a_failure(monkeypatch):
    """A collector that fails in place affects no other one, and garbage is collected again after it."""

    def no_thread(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", no_thread)
    report = Monitor(readers=[readers(connections=deny_access)]).check()
    assert [each["collector"] for each in report.metrics["failures"]] == ["connections"]
    assert report.metrics["interfaces"]
    assert gc.isenabled()


def until(condition):
    """Wait until a thread has done what the test expects of it."""
    end_s = time.monotonic() + 60
    while not condition() and time.monotonic() < end_s:
        time.sleep(0.001)


def test_readings_in_the_background():
    """Each has one result, in order; one that fails has none, and the next one is made."""
    background, results = Background("test"), []
    background.start(lambda: 1)
    until(lambda: results.extend(background.take()) or results)
    background.start(deny_access)
    until(lambda: background.start(lambda: 2) or results.extend(background.take()) or results[1:])
    assert results[:2] == [1, 2]


def test_a_reading_that_hangs_in_the_background_is_the_only_one():
    """Nobody waits for it, no other one is started, and a check is made as if there were none."""
    hangs, began = threading.Event(), []
    monitor = Monitor(readers=[readers(counters=lambda: began.append(1) or hangs.wait(60) or deny_access())])
    monitor.sample()
    until(lambda: began)
    monitor.sample()
    report = monitor.check()
    hangs.set()
    assert (report.status, began) == ("healthy", [1])


def test_the_thread_in_the_background_ends_with_its_owner():
    """A program may make many monitors."""
    background, threads = Background("ends-with-its-owner"), []
    background.start(lambda: threads.append(threading.current_thread()))
    until(lambda: threads)
    del background
    gc.collect()
    threads[0].join(60)
    assert not threads[0].is_alive()
