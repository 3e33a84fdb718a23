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


def test_a_killed_agent_continues_its_history():
    """One row for an alert that a killed agent and the next one had; off, nothing more is written."""
    agent = node(
        UID,
        "network_health",
        check_interval_sec=3,
        conn_threshold=0,
        exclude_interfaces=BUT_LOOPBACK,
        history=True,
    )
    directive = matrix(holder("catcher-1"), node("boss-1", "commander"), agent)
    with one_socket(), Swarm(directive, encryption=False, extra_agents=CATCHER | COMMANDER) as swarm:
        path = swarm.comm / UID / "queue" / FILE_NAME

        def kept():
            if not path.exists():
                return []
            with History.open(path) as history:
                return [check.at for check in history.checks(*EVER)]

        eventually(lambda: len(kept()) >= 2)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        os.kill(swarm.pid(UID), signal.SIGKILL)
        killed_at = kept()[-1]
        eventually(lambda: len([at for at in kept() if at > killed_at + 5]) >= 2, 180)
        with History.open(path) as history:
            (alert,) = history.alerts(*EVER)
            first = next(iter(history.checks(*EVER))).at
        assert (alert.check, alert.begin, alert.end) == ("connections", first, None)
        update_agent(swarm, "boss-1", UID, history=False)
        eventually(lambda: [line for line in messages(swarm, UID) if "history" in line], 120)
        count = len(kept())
        reports = len(caught(swarm, "catcher-1", UID))
        eventually(lambda: len(caught(swarm, "catcher-1", UID)) >= reports + 3, 120)
        assert len(kept()) <= count + 1
        update_agent(swarm, "boss-1", UID, history=True)
        eventually(lambda: len(kept()) > count + 1, 120)
        assert not [line for line in messages(swarm, UID) if "is not written" in line]
