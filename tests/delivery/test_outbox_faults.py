"""The outbox with a failing folder and killed processes: no alert is lost once ``add`` has returned."""

import contextlib
import os
import random
import select
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from tests.delivery.outbox_model import Nodes, outbox, report, without_repeats
from tests.examples import examples
from tests.faults import DiskFull, FileSizeLimit, FolderIsAFile, ReadOnly
from tests.tree import ROOT

NODES = ("a", "b", "c")
some_nodes = st.lists(st.sampled_from(NODES), unique=True)


class Deliveries(RuleBasedStateMachine):
    """In any order: reports, nodes that go down, a folder that fails, and processes that are killed."""

    fault_type: type

    def __init__(self):
        super().__init__()
        self.cleanup = contextlib.ExitStack()
        root = Path(self.cleanup.enter_context(tempfile.TemporaryDirectory()))
        self.folder = root / "disk" / "queue"
        self.folder.parent.mkdir()
        self.fault = self.fault_type(self.folder)
        self.cleanup.callback(self.fault.close)
        self.folder.mkdir()
        self.nodes, self.log, self.number = Nodes(*NODES), [], 0
        self.promised = {}  # number -> the nodes that must get the report
        self.addressed = {}  # number -> the recipients given to add
        self.in_memory = set()  # numbers of reports that a kill may lose
        self.start()

    def start(self):
        self.passes = 0
        with self.fault.active():
            self.box = outbox(self.folder, self.log.append, most_alerts=1000, most_info=1000)

    @rule(
        recipients=some_nodes,
        severity=st.sampled_from(["INFO", "WARNING", "CRITICAL"]),
        size=st.integers(0, 9000),
    )
    def add(self, recipients, severity, size):
        self.number += 1
        with self.fault.active():
            self.box.add(report(self.number, severity, size), recipients)
        if severity == "INFO" or self.fault.begun:
            self.in_memory.add(self.number)
        self.promised[self.number] = self.addressed[self.number] = set(recipients)

    @rule(receivers=some_nodes)
    def deliver(self, receivers):
        self.passes += 1
        with self.fault.active():
            self.box.deliver(self.nodes.send, receivers)
        if not self.fault.begun:
            self.in_memory.clear()
            files = [name for name in os.listdir(self.folder) if name.endswith(".report")]
            assert len(files) == len(self.box)

    @rule(severity=st.sampled_from(["INFO", "WARNING"]), size=st.integers(0, 9000))
    def add_and_deliver(self, severity, size):
        self.add(NODES, severity, size)
        self.deliver(NODES)

    @rule(node=st.sampled_from(NODES))
    def toggle_down(self, node):
        self.nodes.down ^= {node}

    @rule(node=st.sampled_from(NODES))
    def toggle_denying(self, node):
        self.nodes.denying ^= {node}

    @precondition(lambda self: self.passes >= 3)
    @rule()
    def kill(self):
        for number in self.in_memory:
            self.promised.pop(number, None)
        self.in_memory.clear()
        self.log.clear()
        self.start()

    @precondition(lambda self: not self.fault.begun)
    @rule()
    def begin_fault(self):
        self.fault.begin()

    @precondition(lambda self: self.fault.begun)
    @rule()
    def end_fault(self):
        self.fault.end()

    def teardown(self):
        try:
            self.nodes.down.clear()
            self.nodes.denying.clear()
            if self.fault.begun:
                self.fault.end()
            # Only the first of the two passes can read a folder that failed until now.
            self.deliver(NODES)
            self.deliver(NODES)
            self.check()
        finally:
            self.cleanup.close()

    def check(self):
        assert len(self.box) == 0
        got = {node: without_repeats(self.nodes.numbers(node)) for node in NODES}
        for number, recipients in self.promised.items():
            reached = {node for node in NODES if number in got[node]}
            assert reached >= recipients
            assert reached
        if self.fault.keeps_reading:
            for numbers in got.values():
                # A report added without recipients may get them after newer reports were sent.
                addressed = [number for number in numbers if self.addressed.get(number)]
                assert addressed == sorted(addressed)
        ids = {}
        for node in NODES:
            for number, report_id in zip(self.nodes.numbers(node), self.nodes.ids(node), strict=True):
                assert ids.setdefault(report_id, number) == number
        assert sum("cannot be used" in line for line in self.log) == sum(
            "can be used again" in line for line in self.log
        )


@pytest.mark.parametrize(
    "fault",
    [
        FileSizeLimit,
        FolderIsAFile,
        pytest.param(ReadOnly, marks=pytest.mark.root),
        pytest.param(DiskFull, marks=pytest.mark.root),
    ],
)
def test_every_alert_reaches_every_recipient(fault):
    """In any order of events, each added alert reaches each recipient, in order, under one id."""
    machine = type(f"Deliveries{fault.__name__}", (Deliveries,), {"fault_type": fault})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples(100),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )


def test_no_alert_is_lost_by_kills(tmp_path):
    """Fifteen processes in turn get SIGKILL at random instants; all alerts arrive, in order with the INFO."""
    rng, killed_in_write = random.Random(20260101), 0
    for name in ("events", "a", "b"):
        (tmp_path / name).touch()
    for seed in range(15):
        added = numbers_in(tmp_path / "events")
        child = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.delivery.outbox_model",
                tmp_path,
                str(int(max(added, default=0)) + 2),
                str(seed),
            ],
            cwd=ROOT,
        )
        try:
            wait_for(lambda added=added: len(numbers_in(tmp_path / "events")) > len(added), child)
            select.select([], [], [], rng.uniform(0, 0.3))
        finally:
            child.send_signal(signal.SIGKILL)
            assert child.wait(timeout=30) == -signal.SIGKILL
        killed_in_write += any(name.endswith(".tmp") for name in os.listdir(tmp_path / "queue"))
    nodes, log = Nodes("a", "b"), []
    box = outbox(tmp_path / "queue", log.append)
    box.deliver(nodes.send, ["a", "b"])
    added = numbers_in(tmp_path / "events")
    for node in nodes.names:
        got = without_repeats(numbers_in(tmp_path / node) + nodes.numbers(node))
        assert set(added) <= set(got)
        assert got == sorted(got)
    print(
        f"{len(added)} alerts, 15 kills, {killed_in_write} of them during a write; all arrived at both nodes"
    )
    assert log == []
    assert len(box) == 0


def numbers_in(path):
    """One number per complete line; that of an INFO has a half."""
    return [float(line) for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]


def wait_for(condition, child):
    for _ in range(3000):
        if condition():
            return
        assert child.poll() is None, "the child ended by itself"
        select.select([], [], [], 0.01)
    raise AssertionError("the condition was not met within 30 s")
