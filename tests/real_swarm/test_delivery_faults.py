"""A thousand alerts under random faults: every one arrives at every holder of its role, in order.

What is sent and what arrives is counted exactly:

- An agent takes a report's number just before it stores the report. One that is killed between the two
  has made no report; that can be so for the last number of a life alone, and only if its report is neither
  in the queue nor with any holder.
- The framework removes a packet before it calls the handler. A report has arrived when the holder's
  listener has read it; at most one in each life of a holder, the one that it was killed over, is read and
  not handled. No sender can know of that.

Order is promised while no more than 90 alerts of an agent wait (past that the gate opens), so holders are
harmed only while the agents keep up, and the largest backlog is checked.
"""

import collections
import itertools
import os
import random
import time

import pytest

from network_health.swarm.booting import Swarm
from tests.real_swarm import fleet_faults as faults
from tests.real_swarm.director import Director
from tests.real_swarm.fleet import RECEIPT_LOG, Fleet, Reporter, firsts, last_of_each_life, unhandled
from tests.real_swarm.nodes import COMMANDER, ROLE, eventually, holder, matrix, node, one_socket, order

pytestmark = [pytest.mark.root, pytest.mark.swarm]

LATE_ROLE = "hive.test.late"
HOLDERS = {"holder-1": ROLE, "holder-2": ROLE, "holder-3": LATE_ROLE}
REPORTS = 1000
#: How many may wait before order is given up: BACKLOG of the agent.
BACKLOG = 90
REFUSED = "cannot be reached: its reports wait"
DISK_FULL = "queue cannot be used"
AGENTS = 36
ABSENT_S = 60
FAULTS_S = 210
#: How often each fault comes, at random times within FAULTS_S.
PLAN = {
    faults.HolderKilled: 4,
    faults.KeyMissing: 10,
    faults.FolderReadOnly: 10,
    faults.AgentKilled: 14,
    faults.AgentDoubled: 6,
    faults.QueueMoved: 5,
    faults.QueueFull: 8,
}


@pytest.fixture
def seed():
    """What repeats the schedule of an earlier run: DELIVERY_SEED in the environment."""
    return int(os.environ.get("DELIVERY_SEED", random.randrange(10**6)))


@pytest.fixture
def rng(seed):
    """Random, as the seed has it."""
    print(f"DELIVERY_SEED={seed}")
    return random.Random(seed)


@pytest.fixture
def fleet(rng):
    """Agents that send an alert at every check, half of them to a role that nobody holds yet."""
    agents = {
        f"net-{number:02d}": Reporter(rng.choice([7, 8, 9, 10]), (ROLE, LATE_ROLE)[number % 2])
        for number in range(AGENTS)
    }
    nodes = [
        node(
            uid,
            "network_health",
            check_interval_sec=reporter.interval_s,
            conn_threshold=0,
            critical_after_checks=rng.choice([0, 0, 3]),
            report_to_role=reporter.role,
        )
        for uid, reporter in agents.items()
    ]
    there = [holder(uid, "receipt_log", role) for uid, role in HOLDERS.items() if role == ROLE]
    with (
        one_socket(),  # so that each check finds too many
        Swarm(
            matrix(node("boss-1", "commander"), *there, *nodes),
            encryption=False,
            extra_agents=RECEIPT_LOG | COMMANDER,
        ) as swarm,
    ):
        yield Fleet(swarm, agents, HOLDERS)


def sent(fleet):
    """The ids of all reports that were made so far, by agent."""
    return {uid: [each for each in fleet.ids(uid) if each not in fleet.never_made] for uid in fleet.agents}


def arrivals(fleet):
    """The ids that each holder has read, as they came."""
    return {
        uid: [line.report_id for line in fleet.receipt_log(uid) if line.event == "read"] for uid in HOLDERS
    }


def due(fleet, ids, receiver):
    """Those that the holder is to get."""
    role = HOLDERS[receiver]
    return {each for uid, reporter in fleet.agents.items() if reporter.role == role for each in ids[uid]}


def owed(fleet, ids):
    """Those that it has yet to get, by holder; a holder that has got all is left out."""
    missing = {uid: due(fleet, ids, uid).difference(read) for uid, read in arrivals(fleet).items()}
    return {uid: sorted(reports) for uid, reports in missing.items() if reports}


def bring_in_the_late_holder(fleet):
    """By the framework's own command to add a node to a running swarm."""
    (uid,) = (uid for uid, role in HOLDERS.items() if role == LATE_ROLE)
    content = {"target_universal_id": "matrix", "subtree": holder(uid, "receipt_log", LATE_ROLE)}
    packet = {"handler": "cmd_inject_agents", "content": content}
    order(fleet, "boss-1", "matrix", "incoming", "standard.command.packet", packet)


def test_every_alert_arrives_everywhere_in_order(fleet, seed, rng, capsys):
    """Holders and agents die, keys vanish, folders refuse, disks fill up: nothing is lost or overtaken."""
    began_s = time.monotonic()
    eventually(lambda: all(map(fleet.has_begun, fleet.agents)))
    plan = [(rng.uniform(0, FAULTS_S), kind) for kind, times in PLAN.items() for _ in range(times)]
    with Director(fleet, rng, plan) as director:
        director.carry_on(lambda: time.monotonic() > began_s + ABSENT_S, 2 * ABSENT_S)
        bring_in_the_late_holder(fleet)
        assert director.carry_on(
            lambda: director.is_done and sum(map(len, sent(fleet).values())) >= REPORTS, 1200
        ), f"still to come {director.plan}, still there {director.active}"
        ids = sent(fleet)
        director.carry_on(lambda: not owed(fleet, ids), 400)
        with capsys.disabled():
            print(f"\nseed {seed}: {summary(fleet, ids, director)}")
        judge_arrivals(fleet, ids)
        judge_order(fleet, director)
        judge_reports(fleet)
        assert fleet.told_by_all(REFUSED) > 0
        assert fleet.told_by_all(DISK_FULL) > 0


def judge_arrivals(fleet, ids):
    """Every report that was made has arrived at every holder of its role, and no other report has."""
    assert owed(fleet, ids) == {}
    arrived = set(itertools.chain(*arrivals(fleet).values()))
    assert arrived <= {each for own in sent(fleet).values() for each in own}


def judge_order(fleet, director):
    """No report overtook another of its agent on the way to a holder."""
    assert director.largest_backlog <= BACKLOG
    for uid, reports in arrivals(fleet).items():
        for agent, own in firsts(reports).items():
            assert own == sorted(own), f"{agent} to {uid}"
            assert fleet.agents[agent].role == HOLDERS[uid]


def judge_reports(fleet):
    """An id is one alert and no other; a holder that lives on handles what it has read."""
    receipt_logs = [fleet.receipt_log(uid) for uid in HOLDERS]
    versions = collections.defaultdict(set)
    for line in itertools.chain(*receipt_logs):
        versions[line.report_id].add((line.timestamp, line.severity))
    assert [report_id for report_id, made in versions.items() if len(made) > 1] == []
    assert {severity for ((_, severity),) in versions.values()} == {"WARNING", "CRITICAL"}
    for receipt_log in receipt_logs:
        assert unhandled(receipt_log) <= last_of_each_life(receipt_log)


def summary(fleet, ids, director):
    """What was sent, what arrived, and what happened meanwhile."""
    every = {each for own in ids.values() for each in own}
    lines = [f"{len(every)} alerts sent by {len(ids)} agents"]
    for uid, read in arrivals(fleet).items():
        own = due(fleet, ids, uid)
        lives = len({line.pid for line in fleet.receipt_log(uid)})
        again = len(read) - len(set(read))
        killed_over = len(unhandled(fleet.receipt_log(uid)))
        lines.append(
            f"{uid}: {len(own & set(read))} of {len(own)} arrived, {again} of them again; "
            f"{lives} lives, killed over {killed_over} that it had read"
        )
    lines += [f"{times} x {name}" for name, times in director.counts.items()]
    lines += [f"{times} x the last report of a killed agent {place}" for place, times in fleet.kills.items()]
    refusals, full = fleet.told_by_all(REFUSED), fleet.told_by_all(DISK_FULL)
    lines.append(f"an agent met {refusals} times a holder that refused, {full} times a queue that did")
    lines.append(f"largest backlog of an agent: {director.largest_backlog}")
    return "\n  ".join(lines)
