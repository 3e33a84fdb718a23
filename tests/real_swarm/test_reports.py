"""A swarm booted by the framework's own launcher: reports arrive, with encryption and without."""

import importlib.util
import itertools
import os
import signal
import statistics
import time
from pathlib import Path

import pytest

from network_health.swarm.booting import Swarm
from tests.real_swarm.nodes import (
    BUT_LOOPBACK,
    CATCHER,
    caught,
    eventually,
    holder,
    matrix,
    messages,
    node,
    one_socket,
)
from tests.tree import ROOT

pytestmark = [pytest.mark.root, pytest.mark.swarm]


COMMON = {"exclude_interfaces": BUT_LOOPBACK}


def directive():
    """Two holders of the role, and agents that differ in their settings."""
    return matrix(
        holder("forensic-1", "forensic_detective"),
        holder("catcher-1"),
        node("net-1", "network_health", check_interval_sec=3, conn_threshold=10**6, **COMMON),
        node("net-2", "network_health", check_interval_sec=7, conn_threshold=0, top_n_procs=2, **COMMON),
    )


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "encrypted"])
def swarm(request):
    """The directive above, booted."""
    with one_socket(), Swarm(directive(), encryption=request.param, extra_agents=CATCHER) as booted:
        booted.key_of = "catcher-1" if request.param else None
        yield booted


def test_the_forensic_detective_receives_the_reports(swarm):
    """Its own log says that reports of the service came in, WARNING and INFO."""

    def ingested():
        lines = messages(swarm, "forensic-1", swarm.key_of)
        return {s for s in ("INFO", "WARNING") for line in lines if f"Received '{s}' report" in line}

    eventually(lambda: ingested() == {"INFO", "WARNING"})
    lines = messages(swarm, "forensic-1", swarm.key_of)
    assert any("from 'NetworkHealthMonitor' for service 'system.network'" in line for line in lines)


def test_every_holder_receives_the_first_report(swarm):
    """The second holder has the very first of each agent, alert or not: roles are unknown at first."""
    for uid, severity in (("net-1", "INFO"), ("net-2", "WARNING")):
        first = eventually(lambda uid=uid: caught(swarm, "catcher-1", uid))[0]
        assert first["severity"] == severity
        assert first["metrics"]["report_id"].endswith("-000001")
    assert set(first) == {
        *("source_agent", "service_name", "status", "details", "severity", "metrics", "timestamp")
    }
    assert (first["source_agent"], first["service_name"]) == ("NetworkHealthMonitor", "system.network")
    assert {"interfaces", "total_connections", "by_status", "top_procs"} <= set(first["metrics"])
    assert "lo" in [i["iface"] for i in first["metrics"]["interfaces"]]


def test_thresholds_and_list_length_are_the_directives(swarm):
    """One agent breaches its limit of 0, the other stays below a million; two processes are listed."""
    quiet = eventually(lambda: caught(swarm, "catcher-1", "net-1"))[-1]
    loud = eventually(lambda: caught(swarm, "catcher-1", "net-2"))[-1]
    assert (quiet["status"], quiet["severity"]) == ("healthy", "INFO")
    assert (loud["status"], loud["severity"]) == ("network_issue", "WARNING")
    assert loud["details"].startswith(f"High connection count: {loud['metrics']['total_connections']} > 0")
    assert (len(quiet["metrics"]["top_procs"]), len(loud["metrics"]["top_procs"])) == (5, 2)


@pytest.mark.parametrize(("uid", "interval_s"), [("net-1", 3), ("net-2", 7)])
def test_the_interval_is_the_directives(swarm, uid, interval_s):
    """From one observation to the next it is the interval, as a rule: a busy host may be late once."""
    eventually(lambda: len(caught(swarm, "catcher-1", uid)) >= 6)
    times = [content["timestamp"] for content in caught(swarm, "catcher-1", uid)]
    steps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert statistics.median(steps) == pytest.approx(interval_s, abs=0.5)


def test_the_workspace_folder_does_not_hide_the_library(swarm):
    """The workspace has agent/network_health, and the agent imported the library all the same."""
    assert (swarm.workspace / "agent" / "network_health" / "network_health.py").exists()
    assert not any("cannot be imported" in line for line in messages(swarm, "net-1", swarm.key_of))
    assert eventually(lambda: caught(swarm, "catcher-1", "net-1"))[0]["metrics"]["check"]


def test_the_log_has_no_line_for_a_routine_check(swarm):
    """Nothing is logged for checks and deliveries that went well."""
    eventually(lambda: len(caught(swarm, "catcher-1", "net-1")) >= 3)
    before = messages(swarm, "net-1", swarm.key_of)
    count = len(caught(swarm, "catcher-1", "net-1"))
    eventually(lambda: len(caught(swarm, "catcher-1", "net-1")) >= count + 2)
    new = messages(swarm, "net-1", swarm.key_of)[len(before) :]
    assert [line for line in new if "TREE-WATCH" not in line] == []


def test_the_worker_beacon_stays_fresh(swarm):
    """While it waits for the next check, the agent still tells the swarm that its worker lives."""
    beacon = swarm.comm / "net-2" / "hello.moto" / "poke.worker"
    eventually(beacon.exists)
    ages = []
    for _ in range(16):
        time.sleep(0.5)
        ages.append(time.time() - beacon.stat().st_mtime)
    assert max(ages) < 8


def test_a_die_cookie_ends_the_agent_and_a_kill_does_not(swarm):
    """Dead within 10 s of the cookie; after kill -9 the parent brings it back and reports resume."""
    killed, ended = swarm.pid("net-1"), swarm.pid("net-2")
    os.kill(killed, signal.SIGKILL)
    started = time.monotonic()
    (swarm.comm / "net-2" / "incoming" / "die").touch()
    eventually(lambda: not is_running(ended), 10)
    assert time.monotonic() - started < 10
    eventually(lambda: swarm.pid("net-1") != killed, 100)
    count = len(caught(swarm, "catcher-1", "net-1"))
    eventually(lambda: len(caught(swarm, "catcher-1", "net-1")) >= count + 2, 60)
    ids = [c["metrics"]["report_id"] for c in caught(swarm, "catcher-1", "net-1")]
    assert len(set(ids)) == len(ids)


def is_running(pid):
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_references_directive_as_printed_reports_to_the_detective():
    """No node declares the role: the forensic_detective gets the reports, and the log says so, once."""
    path = ROOT / "directives" / "network_health_reference.py"
    spec = importlib.util.spec_from_file_location("printed", path)
    printed = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(printed)
    with Swarm(printed.matrix_directive, encryption=False) as swarm:
        eventually(
            lambda: any(
                "report from 'NetworkHealthMonitor'" in line for line in messages(swarm, "forensic-alpha-1")
            ),
            90,
        )
        told = [line for line in messages(swarm, "net-health-1") if "No node has the role" in line]
    assert len(told) == 1
    assert '"service-manager"' in told[0]
    assert "forensic-alpha-1" in told[0]
