"""Settings pushed to a running agent, with encryption and without: obeyed or refused, and said so."""

import json
import os

import pytest

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
    order,
    update_agent,
)

pytestmark = [pytest.mark.root, pytest.mark.swarm]

UID = "net-1"
LOUD = "High connection count"


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "encrypted"])
def swarm(request):
    """An agent that is quiet, somebody who catches its reports, and somebody who commands."""
    directive = matrix(
        holder("catcher-1"),
        node("boss-1", "commander"),
        node(
            UID, "network_health", check_interval_sec=3, conn_threshold=10**6, exclude_interfaces=BUT_LOOPBACK
        ),
    )
    with one_socket(), Swarm(directive, encryption=request.param, extra_agents=CATCHER | COMMANDER) as booted:
        booted.key_of = "catcher-1" if request.param else None
        eventually(lambda: caught(booted, "catcher-1", UID))
        yield booted


def said(swarm, words):
    return [line for line in messages(swarm, UID, swarm.key_of) if words in line]


def reports_after(swarm, count=2):
    """Reports that were made from now on."""
    seen = len(caught(swarm, "catcher-1", UID))
    eventually(lambda: len(caught(swarm, "catcher-1", UID)) >= seen + count)
    return caught(swarm, "catcher-1", UID)[seen:]


def test_a_threshold_pushed_by_the_framework_holds_from_the_next_check(swarm):
    """Lowered, the next report is a WARNING; raised again, the next is healthy; each change has its line."""
    update_agent(swarm, "boss-1", UID, conn_threshold=0)
    eventually(lambda: LOUD in caught(swarm, "catcher-1", UID)[-1]["details"])
    assert len(said(swarm, "conn_threshold 1000000 -> 0")) == 1
    update_agent(swarm, "boss-1", UID, conn_threshold=999999)
    eventually(lambda: caught(swarm, "catcher-1", UID)[-1]["severity"] == "INFO")
    assert len(said(swarm, "conn_threshold 0 -> 999999")) == 1


def test_a_bad_push_changes_nothing(swarm):
    """One bad value among good ones: none is taken, the mistake is logged once and in the reports.

    The framework sends it again with the next push, whose own value is taken then.
    """
    update_agent(swarm, "boss-1", UID, conn_threshold=0, check_interval_sec="soon")
    eventually(lambda: "settings_errors" in caught(swarm, "catcher-1", UID)[-1]["metrics"])
    reports = reports_after(swarm)
    assert not any(LOUD in report["details"] for report in reports)
    assert all("check_interval_sec" in report["metrics"]["settings_errors"][0] for report in reports)
    mistake = "check_interval_sec: 'soon' is not allowed"
    assert len(said(swarm, f"Live config refused: {mistake}")) == 1
    update_agent(swarm, "boss-1", UID, conn_threshold=999998)
    eventually(lambda: said(swarm, "conn_threshold 999999 -> 999998; ignored, because"))
    assert len(said(swarm, f"refused before: {mistake}")) == 1
    update_agent(swarm, "boss-1", UID, conn_threshold=999999, check_interval_sec=3)
    eventually(lambda: "settings_errors" not in caught(swarm, "catcher-1", UID)[-1]["metrics"])


def test_a_push_by_another_agent_is_obeyed_only_without_encryption(swarm):
    """Where identities exist only the matrix commands; where there are none, the folder's owner does."""
    order(swarm, "boss-1", UID, "config", "standard.general.json.packet", {"top_n_procs": 1})
    if swarm.key_of is None:
        eventually(lambda: len(caught(swarm, "catcher-1", UID)[-1]["metrics"]["top_procs"]) == 1)
        return
    eventually(lambda: said(swarm, "'boss-1' may not command"))
    assert all(len(report["metrics"]["top_procs"]) == 5 for report in reports_after(swarm))
    assert len(said(swarm, "'boss-1' may not command")) == 1


def test_a_file_that_nobody_signed_is_obeyed_only_without_encryption(swarm):
    """Put into the drop zone by hand: with encryption on it changes nothing and is logged once."""
    path = swarm.comm / UID / "config" / "by-hand.json"
    path.write_text(json.dumps({"top_n_procs": 2}))
    if swarm.key_of is None:
        eventually(lambda: len(caught(swarm, "catcher-1", UID)[-1]["metrics"]["top_procs"]) == 2)
        return
    eventually(lambda: said(swarm, "could not verify or read it"))
    assert all(len(report["metrics"]["top_procs"]) == 5 for report in reports_after(swarm))
    assert len(said(swarm, "could not verify or read it")) == 1


def test_a_method_that_a_packet_names_is_not_called(swarm, tmp_path):
    """Neither one that writes a file, nor one that starts a thread; the first one is logged."""
    threads = len(os.listdir(f"/proc/{swarm.pid(UID)}/task"))
    place = {"path": str(tmp_path), "address": "a", "drop": "b", "name": "c.json"}
    incoming = swarm.comm / UID / "incoming"
    # One after the other: the framework takes files that lie there together in no order.
    for handler, content in (("save_directive", place), ("start_dynamic_throttle", 0)):
        packet = {"handler": handler, "content": content}
        order(swarm, "boss-1", UID, "incoming", "standard.command.packet", packet)
        eventually(lambda: not list(incoming.glob("*.json")))
        eventually(lambda: said(swarm, "Command refused: "))
    sender = "'boss-1'" if swarm.key_of else "an unknown sender"
    refused = said(swarm, "Command refused: ")
    assert [line for line in refused[1:] if " more from " not in line] == []
    assert refused[0].endswith(
        f"Command refused: {sender} sent the command 'save_directive', which this agent does not accept."
    )
    assert list(tmp_path.iterdir()) == []
    assert len(os.listdir(f"/proc/{swarm.pid(UID)}/task")) <= threads
