"""The suggested limits fit what was normal, and nothing is guessed from too little."""

import json
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network_health import Settings
from network_health.history import Coverage, Normal, TooLittleHistory, advise
from network_health.model import Protocols, Share
from tests.checked_host import EPOCH, nic
from tests.examples import examples
from tests.history.kept_checks import DAY_S, connections, kept, rates

PERIODS = 288
WEEK = 7 * PERIODS + 1
EVER = (0.0, 1e12)


def between(checks):
    """The checks of a time, as `History.checks` gives them."""
    return lambda since, until: (check for check in checks if since <= check.at < until)


def advice(checks, present=None, **chosen):
    """The advice for settings in force ``present``."""
    return advise(between(checks), EVER, Settings(**present or {}), chosen or None)


def suggested(checks, setting, **present):
    """The suggestion for one setting."""
    return next(each for each in advice(checks, present).suggestions if each.setting == setting)


def day(count, days=1):
    """One check each five minutes, with the number of connections that ``count`` gives for its number."""
    return connections(*(count(number) for number in range(days * PERIODS + 1)), step_s=300.0)


def test_what_was_normal():
    """Median, percentiles and maximum by subject, the one that has most first."""
    checks = [
        kept(300.0 * n, nic(tx=float(n % 100), speed_mbps=1000), nic("lo", tx=n / 1000)) for n in range(2000)
    ]
    assert suggested(checks, "tx_threshold_mbps").normal == (
        Normal("tx_rate", "eth0", 2000, 49.0, 94.0, 99.0, 99.0, speed_mbps=1000),
        Normal("tx_rate", "lo", 2000, 0.999, 1.899, 1.997, 1.999),
    )


def test_a_period_counts_with_its_highest_check():
    """Ten checks of five minutes are one value; these began within a period, so there is one more."""
    found = suggested(connections(*([50] + [5] * 9) * 300), "conn_threshold").normal
    assert found == (Normal("connections", "host", 301, 50, 50, 50, 50),)


def test_an_hour_counts_as_twelve_periods():
    """Summaries of an hour have the weight of their time."""
    hours = rates(*[100.0] * 24, step_s=3600.0, period_s=3600.0)
    checks = [kept(DAY_S + 300 * n, nic(tx=1.0)) for n in range(PERIODS)]
    (normal,) = suggested(hours + checks, "tx_threshold_mbps").normal
    assert (normal.periods, normal.median, normal.highest) == (2 * PERIODS, 1.0, 100.0)


def test_a_limit_of_an_agent_that_seldom_checks():
    """A check each hour counts as much as a summary of an hour, and there is no gap between two."""
    checks = rates(*[100.0] * 24, step_s=3600.0, period_s=3600.0)
    checks += [replace(check, at=check.at + DAY_S, is_summary=False) for check in checks]
    found = advice(checks)
    assert found.suggestions[0].normal[0].periods == 2 * PERIODS
    assert (found.coverage.covered_s, found.coverage.gaps) == (2 * DAY_S, 0)


def test_a_limit_that_is_too_low():
    """It is raised above what is normal, rounded to two digits."""
    found = suggested(day(lambda n: 1300 + n % 10), "conn_threshold")
    assert (found.present, found.suggested) == (1000, 1700)
    assert found.reason == "99.9 % of the time it is at most 1309 sockets; with a margin of a quarter"


def test_a_rare_excess_does_not_raise_a_limit():
    """An incident of ten minutes in a month stays an alert."""
    checks = day(lambda n: 9000 if n in (4000, 4001) else 400, days=30)
    found = advice(checks)
    assert found.config == {}
    assert [(a.began - EPOCH, a.lasted_s) for a in found.alerts] == [(4000 * 300, 600)]


def test_a_limit_that_was_never_approached():
    """After a week it is lowered, to twice the highest value; before, it stays."""
    assert suggested(day(lambda n: 130, days=7), "conn_threshold").suggested == 260
    found = suggested(day(lambda n: 130, days=6), "conn_threshold")
    assert (found.suggested, found.reason) == (
        1000,
        "never above 130 sockets, but a week is needed to lower a limit",
    )
    assert suggested(day(lambda n: 1, days=7), "conn_threshold").suggested == 100
    assert suggested(day(lambda n: 300, days=7), "conn_threshold").suggested == 1000


def test_a_link_that_is_often_full():
    """No limit is suggested that the link cannot reach; one that is there already stays."""
    checks = rates(*[940.0] * WEEK, speed_mbps=1000)
    found = suggested(checks, "tx_threshold_mbps")
    assert found.suggested == 900
    assert found.reason.endswith("close to all that there is: 90 % of the link's 1000 Mbps")
    assert suggested(checks, "tx_threshold_mbps", tx_threshold_mbps=930).suggested == 930


def test_a_table_that_is_nearly_full():
    """Its limit stays below the point where the kernel refuses."""
    checks = [
        kept(300.0 * n, protocols=Protocols(conntrack=Share(used=88, limit=100))) for n in range(PERIODS + 1)
    ]
    assert suggested(checks, "conntrack_threshold_percent", conntrack_threshold_percent=50).suggested == 90


def test_packet_errors():
    """Errors that are normal are left out by their share of the packets; a single one leaves the limit."""
    often = [kept(300.0 * n, nic(packets=10_000, drops=n % 2 * 30)) for n in range(PERIODS + 1)]
    assert suggested(often, "packet_error_percent").suggested == 0.38
    once = [kept(300.0 * n, nic(packets=10_000, drops=(n == 7) * 30)) for n in range(WEEK)]
    assert suggested(once, "packet_error_percent").suggested == 0


def test_a_limit_that_is_off_stays_off():
    """What was normal is shown all the same."""
    checks = [kept(300.0 * n, protocols=Protocols(retransmit_percent=3.0)) for n in range(PERIODS + 1)]
    found = suggested(checks, "retransmit_threshold_percent")
    assert (found.suggested, found.reason, found.normal[0].median) == (None, "off: as it is", 3.0)
    unknown = suggested(checks, "softnet_threshold_per_sec")
    assert (unknown.normal, unknown.reason) == ((), "0 all the time, or not measured: as it is")


def test_the_rate_that_is_compared():
    """With rate_basis "peak" the peaks are what was normal."""
    peaks = [kept(300.0 * n, nic(tx=50.0)._replace(tx_peak_mbps=700.0)) for n in range(PERIODS + 1)]
    assert suggested(peaks, "tx_threshold_mbps").normal[0].highest == 50
    assert suggested(peaks, "tx_threshold_mbps", rate_basis="peak").suggested == 880


def test_bursts():
    """Alerts of one or two checks are left out by a count of checks in a row, not by a higher limit."""
    counts = [400] * 5760
    for begin in range(500, 5000, 900):
        counts[begin] = 5000
    counts[5500:5502] = [5000] * 2
    found = advice(connections(*counts))
    assert found.config == {"alert_after_checks": 3}
    assert (len(found.present_alerts), len(found.alerts)) == (6, 0)
    assert found.suggestions[2].reason == (
        "only bursts of fewer than 3 checks exceed it: as it is, with alert_after_checks 3"
    )
    counts[5600:5700] = [5000] * 100
    assert advice(connections(*counts)).config == {"conn_threshold": 6300}


def test_less_than_a_day():
    """Nothing is suggested, also if the rest of the time is a gap; a chosen value is replayed."""
    short = connections(*[1500] * 2000)
    with pytest.raises(TooLittleHistory) as raised:
        advice([*short, kept(10 * DAY_S, connections=1500)])
    assert raised.value.coverage == Coverage(
        since=EPOCH,
        until=EPOCH + 10 * DAY_S,
        exact_since=EPOCH,
        checks=2001,
        covered_s=2000 * 30 + 30,
        gaps=1,
        gaps_s=10 * DAY_S - 2000 * 30,
    )
    assert advice(short, conn_threshold=2000).alerts == ()
    with pytest.raises(TooLittleHistory):
        advice([])


def test_a_gap_is_no_time_with_zeros():
    """Only measured periods count."""
    checks = day(lambda n: 200) + [replace(check, at=check.at + 20 * DAY_S) for check in day(lambda n: 200)]
    (normal,) = suggested(checks, "conn_threshold").normal
    assert (normal.periods, normal.median) == (2 * PERIODS + 2, 200)


@settings(max_examples=examples(40), deadline=None)
@given(st.integers(0, 1 << 32), st.floats(1, 90), st.sampled_from([100, 1000, 0.5]))
def test_the_block_is_valid_and_adds_no_alert(seed, scale, limit):
    """Whatever the history is: `Settings` accepts the block, and there are not more alerts with it."""
    source = random.Random(seed)
    checks = [
        kept(
            300.0 * n,
            nic(
                tx=round(source.uniform(0, scale) ** 2, 2),
                packets=1000,
                drops=source.choice([0, 0, 3]),
                speed_mbps=source.choice([None, 1000]),
            ),
            connections=int(source.uniform(0, scale) ** 2),
        )
        for n in range(PERIODS + 1)
    ]
    present = Settings(tx_threshold_mbps=limit, conn_threshold=limit)
    found = advise(between(checks), EVER, present)
    block = json.loads(json.dumps(dict(found.config)))
    assert Settings.from_mapping(block) == replace(Settings(), **found.config)
    assert sum(a.breached_checks for a in found.alerts) <= sum(
        a.breached_checks for a in found.present_alerts
    )
