"""Every bad value of the settings' tables, one agent each, on a real swarm."""

import json
from datetime import datetime

import pytest

from network_health.swarm.booting import Swarm
from tests.real_swarm.nodes import CATCHER, caught, eventually, holder, matrix, messages, node
from tests.settings.test_settings import BAD

pytestmark = [pytest.mark.root, pytest.mark.swarm]


def is_json(value):
    """Whether a directive, which travels as JSON, can carry the value."""
    try:
        return repr(json.loads(json.dumps(value))) == repr(value)
    except TypeError:
        return False


CASES = {f"bad-{number}": case for number, case in enumerate(BAD) if is_json(case[1])}


def settings_of(key, value):
    """A config with the bad value, and what lets its reports come soon and stay healthy."""
    return {"check_interval_sec": 10, "conn_threshold": 10**6, key: value}


#: Matrix starts an agent again that shows no heartbeat within 10 s: more at once would not all make it.
AT_ONCE = 18
UIDS = list(CASES)
GROUPS = [UIDS[start : start + AT_ONCE] for start in range(0, len(UIDS), AT_ONCE)]


@pytest.fixture(scope="module")
def swarm(request):
    """One agent for each bad value of a group, and somebody to report to."""
    agents = [node(uid, "network_health", **settings_of(*CASES[uid])) for uid in GROUPS[request.param]]
    with Swarm(matrix(holder("catcher-1"), *agents), encryption=False, extra_agents=CATCHER) as booted:
        yield booted


def test_most_of_the_table_is_tried():
    """Only what JSON cannot carry is left to the tables alone."""
    assert len(CASES) >= 0.9 * len(BAD)


def where(*uids):
    """Test parameters: each of the agents, with the swarm that it is in."""
    return pytest.mark.parametrize(
        ("swarm", "uid"),
        [(number, uid) for number, group in enumerate(GROUPS) for uid in group if uid in uids],
        indirect=["swarm"],
        scope="module",  # else each test would boot a swarm of its own
    )


@where(*CASES)
def test_a_bad_value_leaves_the_agent_alive_and_reporting(swarm, uid):
    """It says once what is wrong, reports under the default, and is never respawned."""
    key = CASES[uid][0]
    report = eventually(lambda: caught(swarm, "catcher-1", uid), 120)[0]
    (mistake,) = report["metrics"]["settings_errors"]
    assert mistake.startswith(f"{key}: ")
    told = [line for line in messages(swarm, uid) if "is not allowed; give" in line]
    launches = sorted(record.name.partition("_")[0] for record in (swarm.comm / uid / "spawn").iterdir())
    assert 1 <= len(told) <= len(launches)
    assert all(line.endswith(mistake) for line in told)
    # One that died would be launched again a minute later; on a busy host matrix is impatient at first.
    times = [datetime.strptime(launch, "%Y%m%d%H%M%S%f") for launch in launches]
    assert (times[-1] - times[0]).total_seconds() < 45
    if key == "conn_threshold":  # the default of 1000 is in force
        assert ("High connection count" in report["details"]) == (
            report["metrics"]["total_connections"] > 1000
        )


@where(next(uid for uid, case in CASES.items() if case == ("check_interval_sec", 2.5)))
def test_a_bad_interval_means_the_default_of_30_s(swarm, uid):
    """Two reports of an agent whose interval was 2.5 are 30 s apart."""
    eventually(lambda: len(caught(swarm, "catcher-1", uid)) >= 2, 90)
    first, second = caught(swarm, "catcher-1", uid)[:2]
    assert second["timestamp"] - first["timestamp"] == pytest.approx(30, abs=2)
