"""A link of the host goes down, flaps and vanishes while a swarm watches: what arrives, what is logged."""

import itertools
import os
import signal
import subprocess
import time

import pytest

from network_health.swarm.booting import Swarm
from tests.netns import run
from tests.real_swarm.nodes import CATCHER, caught, eventually, holder, matrix, messages, node

pytestmark = [pytest.mark.root, pytest.mark.swarm]

#: No other interface of this host begins so, and the agents look at no other.
PREFIX = f"Q{os.getpid()}-"
CONFIG = {
    "check_interval_sec": 3,
    "conn_threshold": 10**6,
    "exclude_interfaces": [f"{'?' * place}[!{letter}]*" for place, letter in enumerate(PREFIX)],
    "packet_error_percent": 100,  # what is queued on a link that goes down is lost
}
PATIENCE_S = 180
ON_CHANGE, AT_EVERY_CHECK = "net-change", "net-check"
_numbers = itertools.count()


class Pair:
    """A veth pair of this host, of which the agents see one end; ``take`` it away in the end."""

    def __init__(self):
        self.name = f"{PREFIX}{next(_numbers)}"
        self.other_end = self.name.lower()

    def make(self):
        run("ip", "link", "add", self.name, "type", "veth", "peer", "name", self.other_end)
        for end in (self.name, self.other_end):
            run("ip", "link", "set", end, "up")

    def is_up(self):
        return '"operstate":"UP"' in run("ip", "-j", "link", "show", self.name)

    def switch(self, state):
        run("ip", "link", "set", self.name, state)

    def flap(self, times):
        """The other end goes down and up again so often, as fast as the kernel allows."""
        for _ in range(times):
            run("ip", "link", "set", self.other_end, "down")
            run("ip", "link", "set", self.other_end, "up")

    def take(self):
        subprocess.run(["ip", "link", "del", self.name], capture_output=True, check=False)


@pytest.fixture(scope="module")
def pairs():
    """Four pairs that are up: one for each test, since a link that changes too often flaps."""
    planned = Pair(), Pair(), Pair(), Pair()
    try:
        for pair in planned:
            pair.make()
            eventually(pair.is_up)
        yield planned
    finally:
        for pair in planned:
            pair.take()


@pytest.fixture(scope="module")
def swarm(pairs):
    """An agent that reports when something changes, and one that does at every check."""
    directive = matrix(
        holder("catcher-1"),
        node(ON_CHANGE, "network_health", **CONFIG, report_on="change"),
        node(AT_EVERY_CHECK, "network_health", **CONFIG),
    )
    with Swarm(directive, extra_agents=CATCHER) as booted:
        for uid in (ON_CHANGE, AT_EVERY_CHECK):
            eventually(lambda uid=uid: reports(booted, uid), PATIENCE_S)
        yield booted


def reports(swarm, uid, since=0.0):
    """What an agent has seen of the interfaces after ``since``, oldest first, each report once.

    On a host that is too busy to answer in time a report may be that nothing was seen.
    """
    by_id = {content["metrics"]["report_id"]: content for content in caught(swarm, "catcher-1", uid)}
    found = (by_id[name] for name in sorted(by_id) if by_id[name]["timestamp"] > since)
    return [report for report in found if "interfaces" in report["metrics"]]


def checked(swarm, since, count):
    """Wait for so many checks made after ``since``."""

    def found():
        return reports(swarm, AT_EVERY_CHECK, since)[count - 1 :]

    eventually(found, PATIENCE_S)
    return reports(swarm, AT_EVERY_CHECK, since)


def said(swarm, name):
    """The lines about an interface in the log of the agent that reports changes."""
    return [line for line in messages(swarm, ON_CHANGE, "catcher-1") if name in line]


def about(report, name):
    """What a report's metrics say of an interface: aspects that stand, and how they ended."""
    metrics = report["metrics"]
    standing = [alert["aspect"] for alert in metrics.get("alerts", []) if alert["subject"] == name]
    over = [
        entry.get("reason", "recovered")
        for entry in metrics.get("recovered", []) + metrics.get("ended", [])
        if entry["subject"] == name
    ]
    return standing + over


def course_of(swarm, uid, name, since):
    """What the reports say of an interface, those that say nothing left out."""
    return [found for report in reports(swarm, uid, since) if (found := about(report, name))]


def course_until(swarm, name, since, end):
    """What each check's report said of a link, up to the end of its alert, which must arrive."""
    eventually(lambda: course_of(swarm, AT_EVERY_CHECK, name, since)[-1:] == [[end]], PATIENCE_S)
    return course_of(swarm, AT_EVERY_CHECK, name, since)[:-1]


def test_a_veth_taken_down_is_one_warning_and_one_recovery(swarm, pairs):
    """Told by the first check after it and by each until it is up; once, and its end, where changes are."""
    name, began = pairs[0].name, time.time()
    pairs[0].switch("down")
    down = time.time()
    lasting = checked(swarm, down, 3)
    pairs[0].switch("up")
    eventually(pairs[0].is_up)
    up = time.time()
    checked(swarm, up, 3)
    eventually(lambda: course_of(swarm, ON_CHANGE, name, began)[-1:] == [["recovered"]], PATIENCE_S)

    assert [about(report, name) for report in lasting[:3]] == [["down"]] * 3
    assert {(r["severity"], r["details"]) for r in lasting[:3]} == {("WARNING", f"{name} is down")}
    course = course_until(swarm, name, began, "recovered")
    assert course == [["down"]] * len(course)

    warning, recovery = reports(swarm, ON_CHANGE, began)
    assert (warning["severity"], warning["details"]) == ("WARNING", f"{name} is down")
    assert recovery["severity"] == "INFO"
    assert f" Recovered: {name} link after " in recovery["details"]
    first, last = said(swarm, name)
    assert first.endswith(f"WARNING: {name} is down")
    assert f"Recovered: {name} link after " in last


def test_an_agent_killed_while_a_link_is_down_still_reports_its_end(swarm, pairs):
    """After ``kill -9`` the swarm's new process goes on with the alert: not new, and as old as it is."""
    name, began = pairs[2].name, time.time()
    pairs[2].switch("down")
    eventually(lambda: course_of(swarm, ON_CHANGE, name, began) == [["down"]], PATIENCE_S)
    killed = swarm.pid(ON_CHANGE)
    os.kill(killed, signal.SIGKILL)
    eventually(lambda: swarm.pid(ON_CHANGE) not in (None, killed), PATIENCE_S)
    checked(swarm, time.time(), 3)
    pairs[2].switch("up")
    eventually(lambda: course_of(swarm, ON_CHANGE, name, began)[-1:] == [["recovered"]], PATIENCE_S)

    course = course_of(swarm, ON_CHANGE, name, began)
    assert course == [["down"]] * (len(course) - 1) + [["recovered"]]
    (recovery,) = reports(swarm, ON_CHANGE, began)[-1]["metrics"]["recovered"]
    assert recovery["lasted_s"] > 60  # the swarm needs a minute for the new process
    first, last = said(swarm, name)
    assert first.endswith(f"WARNING: {name} is down")
    assert f"Recovered: {name} link after " in last


def test_a_flapping_veth_is_one_finding_until_it_is_gone(swarm, pairs):
    """Flaps in three checks: one report and one line for all, one alert in each check's, and one end."""
    name, began = pairs[1].name, time.time()
    for _ in range(3):
        pairs[1].flap(4)
        flapped = time.time()
        checked(swarm, flapped, 2)
    pairs[1].take()
    gone = time.time()
    checked(swarm, gone, 2)
    eventually(lambda: course_of(swarm, ON_CHANGE, name, began)[-1:] == [["gone"]], PATIENCE_S)

    course = course_until(swarm, name, began, "gone")
    settled = course[course.index(["flapping"]) :]
    assert len(settled) >= 5
    assert settled == [["flapping"]] * len(settled)
    changes = course_of(swarm, ON_CHANGE, name, began)
    assert changes[-2:] == [["flapping"], ["gone"]]
    assert changes[:-2] in ([], [["down"]])  # of a check that was made between the first two flaps
    assert len(said(swarm, name)) == len(changes)


def test_a_swarm_booted_again_goes_on_with_the_alert(swarm, pairs):
    """After a power failure the agent is in new folders: the alert is not new there, and its end arrives."""
    name, began = pairs[3].name, time.time()
    pairs[3].switch("down")
    eventually(lambda: course_of(swarm, ON_CHANGE, name, began) == [["down"]], PATIENCE_S)
    swarm._end_processes()  # as a power failure does
    swarm._start()
    eventually(lambda: course_of(swarm, ON_CHANGE, name, began) == [["down"]], PATIENCE_S)
    pairs[3].switch("up")
    eventually(lambda: course_of(swarm, ON_CHANGE, name, began)[-1:] == [["recovered"]], PATIENCE_S)

    assert course_of(swarm, ON_CHANGE, name, began) == [["down"], ["recovered"]]
    (recovery,) = reports(swarm, ON_CHANGE, began)[-1]["metrics"]["recovered"]
    assert recovery["lasted_s"] > 5
    (line,) = said(swarm, name)
    assert f"Recovered: {name} link after " in line
