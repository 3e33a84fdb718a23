"""Findings over time: each rule of `network_health.alerting.alert_state` in a table of its own."""

import pytest

from network_health.model import Protocols
from tests.watching import EPOCH, Watch, keys, nic

QUIET = "Network health within normal bounds."
LIMIT = {"tx_threshold_mbps": 250}
I, W, C = "INFO", "WARNING", "CRITICAL"  # noqa: E741 - columns of tables


def over(rate):
    return f"eth0 outbound {rate} Mbps > 250 Mbps"


def test_the_defaults_are_the_references():
    """Each check reports; a WARNING if and only if a limit is breached now."""
    reports = Watch(**LIMIT).rates(50.0, 251.3, 250.0, 300.0, 301.0, 10.0, 10.0)
    assert [(r.status, r.severity, r.details, r.due) for r in reports] == [
        ("healthy", I, QUIET, True),
        ("network_issue", W, over(251.3), True),
        ("healthy", I, f"{QUIET} Recovered: eth0 outbound after 30 s.", True),
        ("network_issue", W, over(300.0), True),
        ("network_issue", W, over(301.0), True),
        ("healthy", I, f"{QUIET} Recovered: eth0 outbound after 1 min.", True),
        ("healthy", I, QUIET, True),
    ]
    assert [r.changes for r in reports] == [
        (),
        (f"WARNING: {over(251.3)}",),
        ("Recovered: eth0 outbound after 30 s",),
        (f"WARNING: {over(300.0)}",),
        (),
        ("Recovered: eth0 outbound after 1 min",),
        (),
    ]


def test_what_stands_and_what_is_over_is_structured():
    """``metrics.alerts`` and ``metrics.recovered`` say what the sentences say, and are absent otherwise."""
    watch = Watch(**LIMIT, clear_percent=90)
    quiet, _, first, clearing, over_again, normal = watch.rates(0.0, 260.0, 270.0, 240.0, 251.0, 225.0)
    alert = {"check": "tx_rate", "subject": "eth0", "severity": W, "since": EPOCH + 5060, "limit": 250}
    assert not {"alerts", "recovered", "ended"} & quiet.metrics.keys()
    assert first.metrics["alerts"] == [{**alert, "state": "breached", "checks": 2, "value": 270.0}]
    assert clearing.metrics["alerts"] == [{**alert, "state": "clearing", "checks": 2, "value": 240.0}]
    assert over_again.metrics["alerts"] == [{**alert, "state": "breached", "checks": 3, "value": 251.0}]
    assert normal.metrics["recovered"] == [{"check": "tx_rate", "subject": "eth0", "lasted_s": 120.0}]
    assert "alerts" not in normal.metrics


@pytest.mark.parametrize(
    ("after", "rates", "severities"),
    [
        (1, (300, 0, 300), [W, I, W]),
        (2, (300, 0, 300, 300, 300, 0), [I, I, I, W, W, I]),
        (3, (300, 300, 300, 0, 300, 300), [I, I, W, I, I, I]),
    ],
)
def test_a_breach_is_told_after_so_many_checks_in_a_row(after, rates, severities):
    """One check within the limit starts the count again; what was not told does not recover."""
    reports = Watch(**LIMIT, alert_after_checks=after).rates(*rates)
    assert [r.severity for r in reports] == severities
    recovered = [r.severity == I and before == W for r, before in zip(reports[1:], severities, strict=False)]
    assert ["Recovered" in r.details for r in reports[1:]] == recovered


def test_the_clear_band_keeps_an_alert_but_starts_none():
    """Above 225 a standing alert stands on, with a true sentence; it ends at 225."""
    reports = Watch(**LIMIT, clear_percent=90).rates(240.0, 251.0, 240.0, 225.01, 225.0, 240.0)
    assert [r.details for r in reports] == [
        QUIET,
        over(251.0),
        "eth0 outbound 240.0 Mbps > 225 Mbps (90% of the limit)",
        "eth0 outbound 225.01 Mbps > 225 Mbps (90% of the limit)",
        f"{QUIET} Recovered: eth0 outbound after 1 min 30 s.",
        QUIET,
    ]


def test_the_clear_band_interrupts_a_row_of_breaches():
    """It is not a breach: three in a row means three above the limit."""
    reports = Watch(**LIMIT, clear_percent=90, alert_after_checks=2).rates(251.0, 240.0, 251.0, 251.0)
    assert [r.severity for r in reports] == [I, I, I, W]


@pytest.mark.parametrize(
    ("rates", "due"),
    [
        ((0, 0, 0), [True, False, False]),
        ((0, 300, 301, 0, 0), [True, True, False, True, False]),
        ((300, 300), [True, False]),
    ],
)
def test_report_on_change_sends_what_is_new_or_over(rates, due):
    """And the very first report, so that one sees that the monitor lives."""
    assert [r.due for r in Watch(**LIMIT, report_on="change").rates(*rates)] == due


def test_report_on_change_repeats_what_stands():
    """After ``repeat_after_sec`` since the last report while it stands; a quiet host repeats nothing."""
    watch = Watch(**LIMIT, report_on="change", repeat_after_sec=90)
    assert [r.due for r in watch.rates(*[300.0] * 8)] == [True, False, False, True, False, False, True, False]
    assert [r.due for r in watch.rates(*[0.0] * 8)] == [True] + [False] * 7
    failed = [watch(nic(), failed=["connections"]).due for _ in range(5)]
    assert failed == [True, False, False, True, False]


def test_report_on_change_tells_a_second_alert_and_a_partial_recovery():
    """A report is due for each; the details have what stands, the metrics what is over."""
    watch = Watch(**LIMIT, report_on="change")
    watch(nic(tx=300.0))
    second = watch(nic(tx=300.0), connections=1001)
    partial = watch(nic(tx=0.0), connections=1001)
    assert (second.due, second.details) == (True, f"{over(300.0)}; High connection count: 1001 > 1000")
    assert (partial.due, partial.severity) == (True, W)
    assert partial.details == "High connection count: 1001 > 1000"
    assert keys(partial.metrics["recovered"]) == [("tx_rate", "eth0")]


def test_a_breach_that_lasts_becomes_critical():
    """By the number of breached checks; the status stays, and the change is told."""
    watch = Watch(**LIMIT, critical_after_checks=3, report_on="change", clear_percent=90)
    reports = watch.rates(300.0, 300.0, 240.0, 300.0, 240.0, 0.0, 300.0)
    assert [(r.status, r.severity, r.due) for r in reports] == [
        ("network_issue", W, True),
        ("network_issue", W, False),
        ("network_issue", W, False),
        ("network_issue", C, True),
        ("network_issue", C, False),
        ("healthy", I, True),
        ("network_issue", W, True),
    ]
    assert reports[3].changes == (f"CRITICAL: {over(300.0)}",)


def test_the_severity_is_that_of_the_worst_alert():
    """A new WARNING does not hide a CRITICAL, and each alert has its own."""
    watch = Watch(**LIMIT, critical_after_checks=2)
    watch(nic(tx=300.0))
    both = watch(nic(tx=300.0), connections=1001)
    assert (both.severity, [a["severity"] for a in both.metrics["alerts"]]) == (C, [C, W])
    assert watch(nic(), connections=1001).severity == C
    assert watch(nic()).severity == I


def test_critical_is_off_by_default():
    """However long it lasts."""
    assert {r.severity for r in Watch(**LIMIT).rates(*[300.0] * 200)} == {W}


def test_a_blind_check_neither_ends_an_alert_nor_counts():
    """The alert is unknown meanwhile, and judged when the collector answers again."""
    watch = Watch(**LIMIT, critical_after_checks=3, report_on="change")
    watch.rates(300.0, 300.0)
    blind, still = watch(failed=["interfaces"]), watch(failed=["interfaces"])
    assert (blind.status, blind.severity, blind.details) == (
        "network_issue",
        W,
        f"{over(300.0)} (last known)",
    )
    assert [(a["state"], a["checks"]) for a in still.metrics["alerts"]] == [("unknown", 2)]
    assert [(r.due, r.changes) for r in (blind, still)] == [
        (True, ("Check of interfaces failed: OSError: no",)),
        (False, ()),
    ]
    (again,) = watch.rates(300.0)
    assert (again.severity, again.changes) == (
        C,
        (f"CRITICAL: {over(300.0)}", "Check of interfaces answers again"),
    )


def test_an_alert_recovers_after_a_blind_check_only_if_it_is_seen_to():
    """Within its limit at the first check that sees again: recovered then, not before."""
    watch = Watch(**LIMIT)
    watch.rates(300.0)
    assert "recovered" not in watch(failed=["interfaces"]).metrics
    assert watch.rates(0.0)[0].details == f"{QUIET} Recovered: eth0 outbound after 1 min."


def test_a_collector_that_failed_leaves_the_others_judged():
    """Connections recover while interfaces are blind."""
    watch = Watch(**LIMIT)
    watch(nic(tx=300.0), connections=1001)
    report = watch(connections=5, failed=["interfaces"])
    assert report.details == f"{over(300.0)} (last known)"
    assert keys(report.metrics["recovered"]) == [("connections", "host")]
    assert [f["collector"] for f in report.metrics["failures"]] == ["interfaces"]


def test_a_failed_check_alone_is_told_as_such():
    """With nothing standing it is ``check_failed``, told with report_on "change" too, and so is its end."""
    watch = Watch(report_on="change")
    seen = [watch(nic(), failed=failed) for failed in ((), ["connections"], ["connections"], ())]
    assert [(r.status, r.severity, r.due) for r in seen] == [
        ("healthy", I, True),
        ("check_failed", W, True),
        ("check_failed", W, False),
        ("healthy", I, True),
    ]
    assert seen[1].details == "Check of connections failed: OSError: no"


def test_an_unknown_rate_is_no_recovery():
    """A counter that was reset, or is missing, says nothing of the rate."""
    watch = Watch(**LIMIT)
    watch.rates(300.0)
    unknown = [watch(nic(tx=None)), watch(nic(tx=None, counters=False))]
    assert {r.details for r in unknown} == {f"{over(300.0)} (last known)"}
    assert watch.rates(0.0)[0].details == f"{QUIET} Recovered: eth0 outbound after 1 min 30 s."


def test_errors_without_counters_are_unknown():
    """No counter, no new errors, and no recovery either."""
    watch = Watch()
    watch(nic(drops=3))
    assert watch(nic(counters=False)).details == "eth0 errors: TX=0 RX=0 drops=3 (last known)"


def test_a_protocol_figure_that_is_unknown_is_no_recovery():
    """Counters that went back leave the alert as it was last known; a quiet host ends it."""
    watch = Watch(retransmit_threshold_percent=2)
    breached = Protocols(out_segments_per_sec=500.0, retransmit_percent=5.0)
    quiet = Protocols(out_segments_per_sec=1.0, retransmit_percent=None)
    seen = [watch(protocols=protocols).details for protocols in (breached, Protocols(), quiet)]
    finding = "TCP retransmits 5.0% > 2%"
    assert seen[:2] == [finding, f"{finding} (last known)"]
    assert seen[2].startswith(f"{QUIET} Recovered: ")


def test_a_row_of_breaches_outlasts_a_blind_check_and_is_not_told_in_it():
    """Unknown is neither a breach nor the end of one."""
    watch = Watch(**LIMIT, alert_after_checks=3)
    assert [r.severity for r in watch.rates(300.0, 300.0)] == [I, I]
    watch.change(**LIMIT, alert_after_checks=2)
    assert watch(nic(tx=None)).severity == I
    assert watch.rates(300.0)[0].severity == W


@pytest.mark.parametrize(
    ("kind", "seen", "details"),
    [
        ("veth", (), f"{QUIET} Ended: eth0 outbound after 30 s (eth0 is gone)."),
        (None, (nic("eth1"),), f"{QUIET} Ended: eth0 outbound after 30 s (eth0 is gone)."),
        ("", (), "eth0 is gone"),
    ],
)
def test_a_rate_whose_interface_is_gone_has_not_recovered(kind, seen, details):
    """Its alert ends with the reason; if the interface is a physical one, that is the next finding."""
    watch = Watch(**LIMIT)
    watch(nic(tx=300.0, kind=kind, index=2))
    report = watch(*seen)
    assert report.details == details
    assert "recovered" not in report.metrics
    assert report.metrics["ended"] == [
        {"check": "tx_rate", "subject": "eth0", "lasted_s": 30.0, "reason": "gone"}
    ]


def test_an_excluded_interface_has_not_recovered():
    """Nobody looks any more: that is what the report says."""
    watch = Watch(**LIMIT)
    watch(nic(tx=300.0, kind="", index=2))
    watch.change(**LIMIT, exclude_interfaces=["eth*"])
    report = watch()
    assert report.details == f"{QUIET} Ended: eth0 outbound after 30 s (settings changed)."
    assert report.metrics["ended"][0]["reason"] == "settings"
    assert watch().details == QUIET


@pytest.mark.parametrize(
    ("changed", "severity", "details"),
    [
        ({"tx_threshold_mbps": 400}, I, f"{QUIET} Ended: eth0 outbound after 30 s (settings changed)."),
        ({"tx_threshold_mbps": 100}, W, "eth0 outbound 300.0 Mbps > 100 Mbps"),
        (
            {"tx_threshold_mbps": 310, "clear_percent": 50},
            W,
            "eth0 outbound 300.0 Mbps > 155 Mbps (50% of the limit)",
        ),
        ({**LIMIT, "alert_after_checks": 5}, W, over(300.0)),
        ({**LIMIT, "critical_after_checks": 2}, C, over(300.0)),
    ],
)
def test_standing_alerts_are_judged_again_under_new_settings(changed, severity, details):
    """At the next check; what ends because its limit was moved has not recovered."""
    watch = Watch(**LIMIT)
    watch.rates(300.0)
    watch.change(**changed)
    (report,) = watch.rates(300.0)
    assert (report.severity, report.details) == (severity, details)


def test_a_lower_limit_is_breached_at_the_next_check():
    """And what was fine becomes an alert."""
    watch = Watch(**LIMIT)
    assert watch.rates(200.0)[0].severity == I
    watch.change(tx_threshold_mbps=100)
    assert watch.rates(200.0)[0].details == "eth0 outbound 200.0 Mbps > 100 Mbps"


def test_critical_ends_when_it_is_turned_off():
    """The alert stands on as a WARNING, and that is told."""
    watch = Watch(**LIMIT, critical_after_checks=1, report_on="change")
    watch.rates(300.0)
    watch.change(**LIMIT, report_on="change")
    (report,) = watch.rates(300.0)
    assert (report.severity, report.due) == (W, True)


def test_settings_changed_while_blind_count_when_sight_returns():
    """The end of the alert is put down to them, although the check that ends it has seen them before."""
    watch = Watch(**LIMIT)
    watch.rates(300.0)
    watch.change(tx_threshold_mbps=400)
    watch(failed=["interfaces"])
    assert watch.rates(300.0)[0].metrics["ended"][0]["reason"] == "settings"


def test_errors_of_one_window_are_over_with_it():
    """The next report is healthy in plain words; its metrics have the end, and it is due."""
    watch = Watch(report_on="change")
    reports = [watch(nic(drops=drops)) for drops in (3, 0, 0)]
    assert [(r.severity, r.details, r.due) for r in reports] == [
        (W, "eth0 errors: TX=0 RX=0 drops=3", True),
        (I, QUIET, True),
        (I, QUIET, False),
    ]
    assert keys(reports[1].metrics["recovered"]) == [("packet_errors", "eth0")]


def test_errors_that_lasted_recover_in_words():
    """Window after window is a state, and its end is worth telling."""
    watch = Watch()
    reports = [watch(nic(drops=drops)) for drops in (3, 1, 0)]
    assert reports[-1].details == f"{QUIET} Recovered: eth0 errors after 1 min."


def test_several_ends_are_told_in_one_sentence_each():
    """What recovered apart from what ended otherwise."""
    watch = Watch(**LIMIT)
    watch(nic(tx=300.0), nic("veth1", tx=300.0), connections=1001)
    assert watch(nic()).details == (
        f"{QUIET} Recovered: eth0 outbound after 30 s, connection count after 30 s. "
        "Ended: veth1 outbound after 30 s (veth1 is gone)."
    )
