"""Whole checks of this project, healthy ones and those of an active alert, and lookups alone.

Guarantees: a run that does not do what its row says fails, for example a check that should look up a culprit
and reports the one of an earlier check.
"""

from __future__ import annotations

import itertools
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench.work import Counted, Work

#: Limits that no load breaches.
HEALTHY = {"conn_threshold": 10**9, "tx_threshold_mbps": 10**6, "rx_threshold_mbps": 10**6}
NOTE = "a whole check"
#: Longer than a sample takes. After a longer sleep the waking would be a part of the measurement.
_SAMPLED_S = 0.01


def healthy() -> Work:
    """A check without a breach."""
    from network_health import Monitor, Settings  # late, so that it is not in the memory of other programs

    monitor = Monitor(Settings.from_mapping(HEALTHY))

    def run() -> Counted:
        metrics = monitor.check().metrics
        if "culprits" in metrics:
            raise RuntimeError("a limit is breached")
        return Counted(metrics["total_connections"], NOTE)

    return Work(run)


def between_lookups() -> Work:
    """A check of an active alert, which reports the culprits that an earlier check has looked up."""
    from network_health import Monitor, Settings

    limits = HEALTHY | {"conn_threshold": 1, "culprit_refresh_sec": 10**6}
    monitor = Monitor(Settings.from_mapping(limits))
    monitor.check()

    def run() -> Counted:
        metrics = monitor.check().metrics
        if not metrics["culprits"]["connections"]["age_s"]:
            raise RuntimeError("the culprits were looked up again")
        return Counted(metrics["total_connections"], NOTE)

    return Work(run)


def _total_connections(metrics: Mapping[str, Any]) -> int:
    return int(metrics["total_connections"])


def with_lookup(
    check: str, count: Callable[[Mapping[str, Any]], int] = _total_connections, **limit: int
) -> Work:
    """A check with a new breach, which looks up the culprits. It knows no owners of an earlier lookup."""
    from network_health import Monitor, Settings
    from network_health.attribution import Attributor

    healthy, breached = Settings.from_mapping(HEALTHY), Settings.from_mapping(HEALTHY | limit)
    monitor = Monitor(healthy)

    def prepare() -> None:
        monitor.settings, monitor._attributor = healthy, Attributor()
        monitor.check()
        monitor.settings = breached

    def run() -> Counted:
        metrics = monitor.check().metrics
        culprits = metrics.get("culprits", {})
        if check not in culprits:
            raise RuntimeError(culprits.get("failure", f"no culprits of {check}"))
        return Counted(count(metrics), NOTE)

    return Work(run, prepare)


def with_rate_lookup() -> Work:
    """A check with a new breach of a rate, while another process sends."""
    command = [sys.executable, "-m", "bench.send_traffic"]
    sender = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert sender.stdout is not None
    sender.stdout.readline()
    work = with_lookup("tx_rate", tx_threshold_mbps=1)

    def prepare() -> None:
        work.prepare()
        time.sleep(0.3)  # a rate needs some time between two readings

    return Work(work.run, prepare)


def lookup() -> Work:
    """The lookup of a new alert about connections alone: sockets, owners, ranking, names of the culprits."""
    from network_health import Monitor, Settings
    from network_health.alerting import evaluate
    from network_health.attribution import Attributor

    settings = Settings.from_mapping(HEALTHY | {"conn_threshold": 1, "process_network": "off"})
    monitor, attributor = Monitor(settings), Attributor()
    snapshot = monitor._collect(time.time(), time.monotonic())
    findings = evaluate(snapshot, settings)

    def run() -> Counted:
        answer = attributor.attribute(findings, snapshot, settings)
        assert answer is not None
        evidence = answer[1].evidence["connections"]
        if evidence["age_s"]:
            raise RuntimeError("nothing was looked up")
        return Counted(evidence["total"], "sockets, owners, ranking, names")

    return Work(run, lambda: attributor.attribute((), snapshot, settings))


def sample() -> Work:
    """What happens once a second between two checks; the thread of the sample has ended after the run."""
    from network_health import Monitor, Settings

    monitor = Monitor(Settings.from_mapping(HEALTHY))

    def run() -> Counted:
        monitor.sample()
        time.sleep(_SAMPLED_S)
        assert monitor.interfaces.last is not None
        return Counted(len(monitor.interfaces.last.value.links), "once a second, between two checks")

    return Work(run, lambda: time.sleep(1 - _SAMPLED_S))


def kept() -> Work:
    """Keeping a check in the history: the mean of an hour of checks, with the summaries that it ends with."""
    from network_health import Monitor, Settings
    from network_health.history import FILE_NAME, Store

    settings = Settings.from_mapping(HEALTHY)
    monitor = Monitor(settings)
    folder = tempfile.TemporaryDirectory()
    store = Store(Path(folder.name) / FILE_NAME, settings.history_max_mb * 10**6)
    checks = 3600 // settings.check_interval_sec
    times = itertools.count(time.time(), settings.check_interval_sec)

    def run() -> Counted:
        report = monitor.check()
        if report.interfaces is None or not Path(folder.name, FILE_NAME).exists():
            raise RuntimeError("there is nothing to keep, or no file")
        started = time.process_time()
        for _ in range(checks):
            store.add(replace(report, timestamp=next(times)), settings)
        cpu_ms = (time.process_time() - started) * 1e3 / checks
        return Counted(len(report.interfaces), "the mean of an hour of checks", cpu_ms)

    return Work(run)


def of_interfaces() -> Work:
    """A whole check, to compare its export with."""
    from network_health import Monitor, Settings

    monitor = Monitor(Settings.from_mapping(HEALTHY))
    return Work(lambda: Counted(len(monitor.check().interfaces or ()), NOTE))


def exported() -> Work:
    """The text of one check for Prometheus; the check itself is not measured."""
    from network_health import Monitor, Settings
    from network_health.export.metric_families import exposition

    monitor = Monitor(Settings.from_mapping(HEALTHY))
    report = monitor.check()

    def check() -> None:
        nonlocal report
        report = monitor.check()

    def run() -> Counted:
        text = exposition(report, 30)
        return Counted(text.count(b"\nnetwork_health_interface_up{"), f"{len(text) / 1e6:.2f} MB of text")

    return Work(run, check)


def waking() -> Work:
    """What the sample of each second needs besides: waking up."""
    count = len(socket.if_nameindex())

    def run() -> Counted:
        time.sleep(_SAMPLED_S)
        return Counted(count)

    return Work(run, lambda: time.sleep(1 - _SAMPLED_S))


def search() -> Work:
    """What the lookup reads: the sockets and their owners."""
    from network_health.sources.linux import read_socket_groups

    def run() -> Counted:
        groups = read_socket_groups(time.monotonic() + 60).groups
        return Counted(sum(each.sockets for each in groups), "sockets, owners")

    return Work(run)
