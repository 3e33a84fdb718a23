"""Tests of when the culprit of an alert is looked up again, and of what is reported in between."""

import pytest

from network_health.attribution.kept_answers import KeptAnswers
from network_health.model import Finding

#: One check every 30 s.
INTERVAL_S = 30


def count(value=100.0, **more):
    return Finding("connections", "host", "High connection count", value, 50, **more)


def lookups(kept, checks, refresh_s=300):
    """The times at which each check looks up; a finding is its value, ``None`` is a check without one."""
    found = []
    for number, value in enumerate(checks):
        now_s = number * INTERVAL_S
        findings = [] if value is None else [count(value)]
        due = kept.due(findings, refresh_s, now_s)
        kept.keep([(finding, (" (it)", {})) for finding in due], now_s)
        found += [now_s] if due else []
    return found


@pytest.mark.parametrize(
    ("checks", "refresh_s", "times"),
    [
        ([100.0] * 400, 300, [0, 300, 900, 2100, 4500, 8100, 11700]),
        ([100.0] * 12, 30, [0, 30, 90, 210]),
        ([100.0] * 500, 7200, [0, 7200, 14400]),
        ([100.0, 119.0, 120.0, 100.1, 96.0], 300, [0, 60, 120]),
        ([100.0, 81.0, 80.0, 80.0], 300, [0, 60]),
        ([100.0] * 11 + [200.0] * 20, 300, [0, 300, 330, 630]),
        ([100.0, None, 100.0, 100.0], 300, [0, 60]),
    ],
    ids=["doubles", "fast", "slow", "rises", "falls", "starts again", "ended"],
)
def test_the_culprit_is_looked_up_again(checks, refresh_s, times):
    """After a change by a fifth, and after a time that doubles; an ended alert is forgotten."""
    assert lookups(KeptAnswers(), checks, refresh_s) == times


def test_the_last_answer_is_reported_with_its_age():
    """Each finding keeps its own clause; one that is within its limit again has none."""
    kept = KeptAnswers()
    rates = [Finding("tx_rate", name, f"{name} outbound", 9.0, 1) for name in ("eth0", "eth1")]
    assert kept.due([*rates, count()], 300, 1000.0) == (*rates, count())
    kept.keep([(rates[0], (" (a)", {"iface": "eth0"})), (rates[1], (" (b)", {"iface": "eth1"}))], 1000.0)
    kept.keep([(count(), (" (c)", {"total": 100}))], 1010.0)
    assert kept.due([*rates, count()], 300, 1030.0) == ()
    findings, evidence = kept.applied([*rates, count(110.0)], 1030.04)
    assert [finding.sentence for finding in findings] == [
        "eth0 outbound (a)",
        "eth1 outbound (b)",
        "High connection count (c)",
    ]
    assert evidence == {
        "connections": {"total": 100, "age_s": 20.0},
        "tx_rate": [{"iface": "eth0", "age_s": 30.0}, {"iface": "eth1", "age_s": 30.0}],
    }
    clearing = count(40.0, breached=False)
    assert kept.due([clearing], 300, 2000.0) == ()
    assert kept.applied([clearing], 2000.0) == ((clearing,), {})


def test_a_failed_lookup_is_repeated():
    """In the next check; until then the answer before is reported, and its age increases."""
    kept = KeptAnswers()
    assert [kept.due([count()], 300, now_s) for now_s in (0.0, 30.0)] == [(count(),)] * 2
    kept.keep([(count(), (" (c)", {}))], 30.0)
    assert [kept.due([count()], 300, now_s) for now_s in (329.0, 330.0, 360.0)] == [
        (),
        (count(),),
        (count(),),
    ]
    assert kept.applied([count()], 360.0)[1] == {"connections": {"age_s": 330.0}}


def test_what_costs_little_is_looked_up_in_each_check():
    """If it costs more later, the refresh time begins anew."""
    kept = KeptAnswers()
    kept.keep([(count(), (" (a)", {}))], 0.0)
    for now_s in (30.0, 60.0):
        assert kept.due([count()], 300, now_s, {"connections"}) == (count(),)
        kept.keep([(count(), (" (b)", {}))], now_s, {"connections"})
    assert kept.applied([count()], 60.0)[1] == {"connections": {"age_s": 0.0}}
    assert [kept.due([count()], 300, now_s) for now_s in (359.0, 360.0)] == [(), (count(),)]


def test_counts_of_one_check_are_not_kept():
    """The kinds of packet errors are those of this check: they are looked up in each, and have no age."""
    kept, errors = KeptAnswers(), Finding("packet_errors", "eth0", "eth0 errors", 3, 0)
    kept.due([errors], 300, 0.0)
    kept.keep([(errors, (" (rx_crc)", {"iface": "eth0"}))], 0.0)
    assert kept.applied([errors], 0.0)[1] == {"packet_errors": [{"iface": "eth0"}]}
    assert kept.due([errors], 300, 30.0) == (errors,)
    assert kept.applied([errors], 30.0) == ((errors,), {})


def test_another_aspect_or_subject_is_another_finding():
    """The state is bounded by the findings of the last check."""
    kept = KeptAnswers()
    kept.due([count()], 300, 0.0)
    kept.keep([(count(), (" (c)", {}))], 0.0)
    other = count(aspect="other")
    assert kept.due([other], 300, 1.0) == (other,)
    assert kept.due([count()], 300, 2.0) == (count(),)


def test_another_peer_or_route_is_another_finding():
    """A sentence about one remote address never has the culprit of another one."""
    kept = KeptAnswers()
    one, other = (
        Finding("peer_retransmits", "host", f"TCP retransmits to {peer} 12.0% > 10%", 12.0, 10)
        for peer in ("10.0.0.9", "10.0.0.12")
    )
    kept.keep([(one, (" (one)", {}))], 0)
    assert kept.applied([one], 5)[0][0].culprit == " (one)"
    assert kept.due([other], 300, 5) == (other,)
    assert kept.applied([other], 5)[0] == (other,)


def test_a_costly_lookup_that_fails_is_not_repeated_at_once():
    """It is after the refresh time, or when the value has changed; its reason and the old answer stay."""
    kept = KeptAnswers()
    kept.keep([(count(), (" (c)", {}))], 0.0)
    kept.fail(kept.due([count()], 300, 300.0), "denied", 300.0)
    assert [kept.due([count()], 300, now_s) for now_s in (330.0, 599.0)] == [(), ()]
    assert list(kept.failures()) == ["denied"]
    assert kept.applied([count()], 599.0)[1] == {"connections": {"age_s": 599.0}}
    assert kept.due([count()], 300, 600.0) == (count(),)
    assert list(kept.failures()) == []
    kept.fail([count()], "denied", 600.0)
    assert kept.due([count(120.0)], 300, 630.0) == (count(120.0),)
    kept.fail([count()], "denied", 630.0)
    assert kept.due([], 300, 660.0) == ()
    assert list(kept.failures()) == []


def test_an_answer_of_which_a_part_failed_is_an_answer():
    """It is looked up again when its process ends, and why a part is missing is reported with it."""
    started = {7: 1.0}
    kept = KeptAnswers(started.get)
    kept.keep([(count(), (" (app[7])", {"pid": 7}))], 0.0)
    kept.fail([count()], "denied", 0.0)
    assert kept.due([count()], 300, 30.0) == ()
    assert list(kept.failures()) == ["denied"]
    started.clear()
    assert kept.due([count()], 300, 60.0) == (count(),)
