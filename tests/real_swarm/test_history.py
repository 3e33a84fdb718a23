"""The history of a booted agent: an alert lives on through a kill, and live config turns it on and off."""

import os
import signal
import stat

import pytest

from network_health.history import FILE_NAME, History
from network_health.swarm.booting import Swarm
from tests.real_swarm.nodes import (
    BUT_LOOPBACK,
    CATCHER,
    COMMANDER,
    caught,
    eventually,
    holder,
    matrix,
    messages,
    node,
    one_socket,
    update_agent,
)

pytestmark = [pytest.mark.root, pytest.mark.swarm]

UID = "net-1"
EVER = (0.0, 1e12)


def path_of(swarm):
    """Where the agent keeps it."""
    return swarm.comm / UID / "queue" / FILE_NAME


def kept(swarm):
    """The times of the checks in the history; none before there is a file."""
    if not path_of(swarm).exists():
        return []
    with History.open(path_of(swarm)) as history:
        return [check.at for check in history.checks(*EVER)]


def alerting_agent():
    """An agent with a history, and an alert from its first check on."""
    return node(
        UID,
        "network_health",
        check_interval_sec=3,
        conn_threshold=0,
        exclude_interfaces=BUT_LOOPBACK,
        history=True,
    )


def test_a_killed_agent_continues_its_history():
    """One row for an alert that a killed agent and the next one had; off, nothing more is written."""
    directive = matrix(holder("catcher-1"), node("boss-1", "commander"), alerting_agent())
    with one_socket(), Swarm(directive, encryption=False, extra_agents=CATCHER | COMMANDER) as swarm:
        eventually(lambda: len(kept(swarm)) >= 2)
        assert stat.S_IMODE(os.stat(path_of(swarm)).st_mode) == 0o600
        os.kill(swarm.pid(UID), signal.SIGKILL)
        killed_at = kept(swarm)[-1]
        eventually(lambda: len([at for at in kept(swarm) if at > killed_at + 5]) >= 2, 180)
        with History.open(path_of(swarm)) as history:
            (alert,) = history.alerts(*EVER)
            first = next(iter(history.checks(*EVER))).at
        assert (alert.check, alert.begin, alert.end) == ("connections", first, None)
        update_agent(swarm, "boss-1", UID, history=False)
        eventually(lambda: [line for line in messages(swarm, UID) if "history" in line], 120)
        count = len(kept(swarm))
        reports = len(caught(swarm, "catcher-1", UID))
        eventually(lambda: len(caught(swarm, "catcher-1", UID)) >= reports + 3, 120)
        assert len(kept(swarm)) <= count + 1
        update_agent(swarm, "boss-1", UID, history=True)
        eventually(lambda: len(kept(swarm)) > count + 1, 120)
        assert not [line for line in messages(swarm, UID) if "is not written" in line]


def test_a_swarm_booted_again_goes_on_with_its_history():
    """After a power failure the agent is in new folders: the checks are in one file, the alert in one row."""
    directive = matrix(holder("catcher-1"), alerting_agent())
    with one_socket(), Swarm(directive, encryption=False, extra_agents=CATCHER) as swarm:
        eventually(lambda: len(kept(swarm)) >= 2)
        swarm._end_processes()  # as a power failure does
        earlier, folder = kept(swarm), swarm.comm
        swarm._start()
        eventually(lambda: swarm.comm != folder and len(kept(swarm)) >= len(earlier) + 2, 180)
        with History.open(path_of(swarm)) as history:
            alerts = history.alerts(*EVER)
        assert kept(swarm)[: len(earlier)] == earlier
        assert [(alert.check, alert.begin, alert.end) for alert in alerts] == [
            ("connections", earlier[0], None)
        ]
