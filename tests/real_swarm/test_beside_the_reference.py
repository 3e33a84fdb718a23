"""The reference agent and this port in one swarm: in the same situation, their reports are the same.

``BESIDE_ROUNDS`` in the environment makes it a longer comparison.
"""

import contextlib
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import matrixswarm
import pytest

from network_health.swarm.booting import Swarm
from tests.netns import run
from tests.real_swarm.nodes import CATCHER, caught, eventually, holder, matrix, node
from tests.test_reference import INTERFACE_FIELDS, PROCESS_FIELDS

pytestmark = [pytest.mark.root, pytest.mark.swarm]

ROUNDS = int(os.environ.get("BESIDE_ROUNDS", "1"))
REFERENCE = Path(matrixswarm.__file__).parent / "agent" / "network_health" / "network_health.py"
QUIET = "Network health within normal bounds."
LINK, PEER = f"B{os.getpid()}", f"b{os.getpid()}"
LISTENERS = 60
COMMON = {
    "check_interval_sec": 4,
    "conn_threshold": 40,
    "tx_threshold_mbps": 1,
    "rx_threshold_mbps": 1,
    "top_n_procs": 3,
}
#: The differences by default, which docs/port-notes.md lists, are turned off.
AS_REFERENCE = {"packet_errors": "total", "link_down_alerts": False, "culprits_in_details": False}
PATIENCE_S = 120
OUTAGE_S = 12
#: The two measure at different moments of a rate that varies.
MEASURED = ("tx_rate_mbps", "rx_rate_mbps")
RATE = re.compile(r"(?<=bound )[\d.]+(?= Mbps)")


@pytest.fixture(scope="module")
def swarm():
    """Both agents and one receiver, on a host that has loopback and a link."""
    others = [name for _, name in socket.if_nameindex() if name != "lo"]
    run("ip", "link", "add", LINK, "type", "veth", "peer", "name", PEER)
    try:
        switch("up")
        directive = matrix(
            holder("catcher-1"),
            node("net-1", "network_health", **COMMON, **AS_REFERENCE, exclude_interfaces=[*others, PEER]),
            node("reference-1", "reference", **COMMON, exclude_interfaces=[*others, PEER]),
        )
        with Swarm(directive, extra_agents=CATCHER | {"reference": REFERENCE.read_text()}) as booted:
            yield booted
    finally:
        run("ip", "link", "del", LINK)


def switch(state):
    for end in (LINK, PEER):
        run("ip", "link", "set", end, state)


def contents(swarm):
    """The reports of the reference agent and of this port, oldest first."""
    both = caught(swarm, "catcher-1")
    ours = [content for content in both if "report_id" in content["metrics"]]
    return [content for content in both if content not in ours], ours


def agree(swarm, findings):
    """Wait until the newest report of each has these findings and the same rates; compare the two."""

    def pair():
        """The newest report of each agent, with the findings in this order and nearly the same rates."""
        newest = [reports[-1] for reports in contents(swarm) if reports]
        texts = [RATE.sub("R", content["details"].removeprefix("; ")) for content in newest]
        if len(newest) < 2 or not all(re.fullmatch(findings, text) for text in texts):
            return None
        theirs, ours = map(rates, newest)
        return ours == pytest.approx(theirs, rel=0.5, abs=0.1) and newest

    assert_same(*eventually(pair, PATIENCE_S))


def rates(content):
    """The rates of all interfaces; a window that only began with the traffic has another one."""
    return [i[field] for i in content["metrics"]["interfaces"] for field in MEASURED]


@contextlib.contextmanager
def traffic():
    """About 10 Mbps over loopback."""
    over = threading.Event()

    def send():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, receiver() as address:
            while not over.wait(0.001):
                sender.sendto(b"x" * 1300, address)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def receiver():
    """The address of a socket that keeps nothing: without one, each datagram would be answered."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.bind(("127.0.0.1", 0))
        one.connect(("127.0.0.1", 9))
        yield one.getsockname()


def assert_same(theirs, ours):
    """Each field of the reference's content: value and type, but for what two moments differ in."""
    assert set(ours) == set(theirs) | {"timestamp"}
    for field in ("source_agent", "service_name", "status", "severity"):
        assert ours[field] == theirs[field], field
    assert RATE.sub("R", ours["details"]) == RATE.sub("R", theirs["details"].removeprefix("; "))
    their, our = theirs["metrics"], ours["metrics"]
    assert set(their) <= set(our)
    assert (our["total_connections"], our["by_status"]) == (their["total_connections"], their["by_status"])
    for they, we in zip(their["interfaces"], our["interfaces"], strict=True):
        assert set(they) == set(INTERFACE_FIELDS)
        assert {f: we[f] for f in they if f not in MEASURED} == {
            f: they[f] for f in they if f not in MEASURED
        }
    assert len(our["top_procs"]) == len(their["top_procs"]) == COMMON["top_n_procs"]
    for they, we in zip(their["top_procs"], our["top_procs"], strict=True):
        assert [(f, type(we[f])) for f in PROCESS_FIELDS] == [(f, type(they[f])) for f in PROCESS_FIELDS]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_each_report_of_an_outage_arrives(swarm, number):
    """The receiver stops for a while: each healthy report of this port arrives, as of the reference agent."""
    agree(swarm, QUIET)
    counts = [len(reports) for reports in contents(swarm)]
    receiver_pid, began = swarm.pid("catcher-1"), time.time()
    os.kill(receiver_pid, signal.SIGSTOP)
    time.sleep(OUTAGE_S)
    os.kill(receiver_pid, signal.SIGCONT)
    ended = time.time()
    eventually(lambda: contents(swarm)[1][-1]["timestamp"] > ended + 1, PATIENCE_S)
    theirs, ours = (reports[count:] for reports, count in zip(contents(swarm), counts, strict=True))
    during = [content for content in ours if began < content["timestamp"] < ended]
    assert len(during) >= OUTAGE_S // COMMON["check_interval_sec"] - 1
    assert len(ours) >= len(theirs) - 1  # they check at different moments
    assert {content["severity"] for content in during} == {"INFO"}


@pytest.mark.parametrize("number", range(ROUNDS))
def test_each_situation_has_the_same_report(swarm, number):
    """Nothing, then too many connections and a link that is down, then also rates that are too high."""
    agree(swarm, QUIET)
    with contextlib.ExitStack() as stack:
        switch("down")
        for _ in range(LISTENERS):
            stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        connections = r"High connection count: \d+ > 40"
        agree(swarm, connections)
        stack.enter_context(traffic())
        agree(swarm, f"lo outbound R Mbps > 1 Mbps; lo inbound R Mbps > 1 Mbps; {connections}")
    switch("up")
