"""A breach that lasts becomes CRITICAL: the framework's own detective names its cause, in file and alert."""

import contextlib
import json
import os
import re
import socket

import pytest

from network_health.swarm.booting import Swarm
from tests.real_swarm.nodes import AGENTS, BUT_LOOPBACK, CATCHER, caught, eventually, holder, matrix, node

pytestmark = [pytest.mark.root, pytest.mark.swarm]

UID = "net-1"
ALARM = {"alarm": (AGENTS / "alarm.py").read_text()}
CRITICAL_AFTER = 3
SOCKETS = 200


@pytest.fixture(scope="module")
def port():
    """A local port that most connections of this host lead to, all of them held by this process."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=SOCKETS))
        for _ in range(SOCKETS):
            stack.enter_context(socket.create_connection(listener.getsockname()))
            stack.enter_context(listener.accept()[0])
        yield listener.getsockname()[1]


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "encrypted"])
def swarm(request, port):
    """An agent in breach, the detective, somebody who sees what the detective sees, and the way out."""
    directive = matrix(
        holder("forensic-1", "forensic_detective"),
        holder("catcher-1"),
        holder("alarm-1", "alarm", role="hive.alert.send_alert_msg"),
        node(
            UID,
            "network_health",
            check_interval_sec=3,
            conn_threshold=SOCKETS,
            critical_after_checks=CRITICAL_AFTER,
            exclude_interfaces=BUT_LOOPBACK,
        ),
    )
    with Swarm(directive, encryption=request.param, extra_agents=CATCHER | ALARM) as booted:
        yield booted


@pytest.fixture(scope="module")
def incidents(swarm):
    """The detective's files, when more CRITICAL reports have come than there may be incidents."""

    def severities():
        return [report["severity"] for report in caught(swarm, "catcher-1", UID)]

    folder = swarm.comm / "forensic-1" / "summary"
    eventually(lambda: severities().count("CRITICAL") >= 4, 180)
    eventually(lambda: [parsed(path) for path in folder.glob("*.json")] not in ([], [None]))
    return [parsed(path) for path in folder.glob("*.json")]


def parsed(path):
    """A file's content; None while it is only being written."""
    try:
        return json.loads(path.read_text())
    except ValueError:
        return None


def test_what_lasts_becomes_critical(swarm, incidents):
    """WARNING up to the check that the settings name, CRITICAL from then on."""
    reports = {report["metrics"]["report_id"]: report for report in caught(swarm, "catcher-1", UID)}
    seen = []
    for report_id in sorted(reports):
        (checks,) = (
            alert["checks"]
            for alert in reports[report_id]["metrics"]["alerts"]
            if alert["check"] == "connections"
        )
        assert (reports[report_id]["severity"] == "CRITICAL") is (checks >= CRITICAL_AFTER)
        seen.append(checks)
    assert seen[:3] == [1, 2, 3]
    assert seen == sorted(seen)


def test_the_summary_names_the_cause(incidents, port):
    """One file: its first line says what, who, how long and what to do; the evidence follows."""
    (incident,) = incidents
    event = incident["critical_event"]
    cause, *evidence = incident["full_forensic_report"].splitlines()
    assert event["severity"] == "CRITICAL"
    total = event["metrics"]["total_connections"]
    assert cause.startswith(f"{UID}: High connection count: {total} > {SOCKETS} (")
    assert re.search(rf"\d% (on :{port} )?owned by \S+\[{os.getpid()}\]", cause)
    assert f"({CRITICAL_AFTER} checks). " in cause
    assert "(ss -tunap)" in cause
    assert any(line.startswith("Connections: ") for line in evidence)


def test_the_alert_that_leaves_the_swarm_is_the_cause(swarm, incidents):
    """One, for all the CRITICAL reports: its text is the file's first line."""
    (incident,) = incidents
    path = swarm.comm / "alarm-1" / "alerts.jsonl"
    eventually(path.exists)
    (alert,) = (json.loads(line) for line in path.read_text().splitlines())
    assert alert["msg"] == incident["full_forensic_report"].splitlines()[0]
    assert alert["origin"] == "forensic-1"
