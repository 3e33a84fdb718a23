"""Tests of each rule of `network_health.alerting.alert_state`."""

import pytest

from network_health.model import Protocols
from tests.checked_host import EPOCH, CheckedHost, keys, nic

QUIET = "Network health within normal bounds."
LIMIT = {"tx_threshold_mbps": 250}
I, W, C = "INFO", "WARNING", "CRITICAL"  # noqa: E741 - columns of tables


def breach(rate):
    return f"eth0 outbound {rate} Mbps > 250 Mbps"


def test_the_defaults_are_the_references():
    """Each check reports; a WARNING if and only if a limit is breached now."""
    reports = CheckedHost(**LIMIT).rates(50.0, 251.3, 250.0, 300.0, 301.0, 10.0, 10.0)
    assert [(r.status, r.severity, r.details, r.due) for r in reports] == [
        ("healthy", I, QUIET, True),
        ("network_issue", W, breach(251.3), True),
        ("healthy", I, f"{QUIET} Recovered: eth0 outbound after 30 s.", True),
        ("network_issue", W, breach(300.0), True),
        ("network_issue", W, breach(301.0), True),
        ("healthy", I, f"{QUIET} Recovered: eth0 outbound after 1 min.", True),
        ("healthy", I, QUIET, True),
    ]
    assert [r.changes for r in reports] == [
        (),
        (f"WARNING: {breach(251.3)}",),
        ("Recovered: eth0 outbound after 30 s",),
        (f"WARNING: {breach(300.0)}",),
        (),
        ("Recovered: eth0 outbound after 1 min",),
        (),
    ]


def test_active_and_resolved_alerts_are_structured():
    """``metrics.alerts`` and ``metrics.recovered`` match the sentences, and are absent if empty."""
    host = CheckedHost(**LIMIT, clear_percent=90)
    quiet, _, first, clearing, breached_again, normal = host.rates(0.0, 260.0, 270.0, 240.0, 251.0, 225.0)
    alert = {"check": "tx_rate", "subject": "eth0", "severity": W, "since": EPOCH + 5060, "limit": 250}
    assert not {"alerts", "recovered", "ended"} & quiet.metrics.keys()
    assert first.metrics["alerts"] == [
        {**alert, "state": "breached", "checks": 2, "value": 270.0, "lasted_s": 30.0}
    ]
    assert clearing.metrics["alerts"] == [
        {**alert, "state": "clearing", "checks": 2, "value": 240.0, "lasted_s": 60.0}
    ]
    assert breached_again.metrics["alerts"] == [
        {**alert, "state": "breached", "checks": 3, "value": 251.0, "lasted_s": 90.0}
    ]
    assert normal.metrics["recovered"] == [{"check": "tx_rate", "subject": "eth0", "lasted_s": 120.0}]
    assert "alerts" not in normal.metrics


@pytest.mark.parametrize("set_s", [-20_000 * 86400, 20_000 * 86400])
def test_a_clock_that_is_set_changes_no_duration(set_s):
    """``since`` stays what it was; how long the alert lasts is measured on a monotonic clock."""
    host = CheckedHost(**LIMIT)
    host.rates(300.0)
    host.epoch += set_s
    (second,) = host.rates(300.0)
    (alert,) = second.metrics["alerts"]
    assert (alert["since"], alert["lasted_s"]) == (EPOCH + 5030, 30.0)
    assert host.rates(0.0)[0].details == f"{QUIET} Recovered: eth0 outbound after 1 min."


@pytest.mark.parametrize(
    ("after", "rates", "severities"),
    [
        (1, (300, 0, 300), [W, I, W]),
        (2, (300, 0, 300, 300, 300, 0), [I, I, I, W, W, I]),
        (3, (300, 300, 300, 0, 300, 300), [I, I, W, I, I, I]),
    ],
)
def test_an_alert_becomes_active_after_so_many_checks_in_a_row(after, rates, severities):
    """One check within the limit restarts the count; a pending alert does not recover."""
    reports = CheckedHost(**LIMIT, alert_after_checks=after).rates(*rates)
    assert [r.severity for r in reports] == severities
    recovered = [r.severity == I and before == W for r, before in zip(reports[1:], severities, strict=False)]
    assert ["Recovered" in r.details for r in reports[1:]] == recovered


def test_the_clear_band_keeps_an_alert_but_starts_none():
    """Above 225 an active alert stays active, with a true sentence; at 225 it is resolved."""
    reports = CheckedHost(**LIMIT, clear_percent=90).rates(240.0, 251.0, 240.0, 225.01, 225.0, 240.0)
    assert [r.details for r in reports] == [
        QUIET,
        breach(251.0),
        "eth0 outbound 240.0 Mbps > 225 Mbps (90% of the limit)",
        "eth0 outbound 225.01 Mbps > 225 Mbps (90% of the limit)",
        f"{QUIET} Recovered: eth0 outbound after 1 min 30 s.",
        QUIET,
    ]


def test_the_clear_band_interrupts_a_row_of_breaches():
    """The clear band is not a breach: two in a row means two above the limit."""
    reports = CheckedHost(**LIMIT, clear_percent=90, alert_after_checks=2).rates(251.0, 240.0, 251.0, 251.0)
    assert [r.severity for r in reports] == [I, I, I, W]


@pytest.mark.parametrize(
    ("rates", "due"),
    [
        ((0, 0, 0), [True, False, False]),
        ((0, 300, 301, 0, 0), [True, True, False, True, False]),
        ((300, 300), [True, False]),
    ],
)
def test_report_on_change_sends_new_and_resolved_alerts(rates, due):
    """The very first report is sent too, as a sign that the monitor runs."""
    assert [r.due for r in CheckedHost(**LIMIT, report_on="change").rates(*rates)] == due


def test_report_on_change_repeats_active_alerts():
    """An active alert is repeated after ``repeat_after_sec``; a healthy host repeats nothing."""
    host = CheckedHost(**LIMIT, report_on="change", repeat_after_sec=90)
    assert [r.due for r in host.rates(*[300.0] * 8)] == [True, False, False, True, False, False, True, False]
    assert [r.due for r in host.rates(*[0.0] * 8)] == [True] + [False] * 7
    failed = [host.check(nic(), failed=["connections"]).due for _ in range(5)]
    assert failed == [True, False, False, True, False]


def test_report_on_change_sends_a_second_alert_and_a_partial_recovery():
    """A report is due for each; the details have the active alerts, the metrics the resolved ones."""
    host = CheckedHost(**LIMIT, report_on="change")
    host.check(nic(tx=300.0))
    second = host.check(nic(tx=300.0), connections=1001)
    partial = host.check(nic(tx=0.0), connections=1001)
    assert (second.due, second.details) == (True, f"{breach(300.0)}; High connection count: 1001 > 1000")
    assert (partial.due, partial.severity) == (True, W)
    assert partial.details == "High connection count: 1001 > 1000"
    assert keys(partial.metrics["recovered"]) == [("tx_rate", "eth0")]


def test_a_breach_that_lasts_becomes_critical():
    """The number of breached checks decides; the status stays, and the change is reported."""
    host = CheckedHost(**LIMIT, critical_after_checks=3, report_on="change", clear_percent=90)
    reports = host.rates(300.0, 300.0, 240.0, 300.0, 240.0, 0.0, 300.0)
    assert [(r.status, r.severity, r.due) for r in reports] == [
        ("network_issue", W, True),
        ("network_issue", W, False),
        ("network_issue", W, False),
        ("network_issue", C, True),
        ("network_issue", C, False),
        ("healthy", I, True),
        ("network_issue", W, True),
    ]
    assert reports[3].changes == (f"CRITICAL: {breach(300.0)}",)


def test_the_severity_is_that_of_the_worst_alert():
    """A new WARNING does not hide a CRITICAL, and each alert has its own."""
    host = CheckedHost(**LIMIT, critical_after_checks=2)
    host.check(nic(tx=300.0))
    both = host.check(nic(tx=300.0), connections=1001)
    assert (both.severity, [a["severity"] for a in both.metrics["alerts"]]) == (C, [C, W])
    assert host.check(nic(), connections=1001).severity == C
    assert host.check(nic()).severity == I


def test_critical_is_off_by_default():
    """An alert stays a WARNING however long it lasts."""
    assert {r.severity for r in CheckedHost(**LIMIT).rates(*[300.0] * 200)} == {W}


def test_a_failed_check_neither_resolves_an_alert_nor_counts():
    """The alert is unknown until the collector answers again, and is evaluated then."""
    host = CheckedHost(**LIMIT, critical_after_checks=3, report_on="change")
    host.rates(300.0, 300.0)
    failed, still = host.check(failed=["interfaces"]), host.check(failed=["interfaces"])
    assert (failed.status, failed.severity, failed.details) == (
        "network_issue",
        W,
        f"{breach(300.0)} (last known)",
    )
    assert [(a["state"], a["checks"]) for a in still.metrics["alerts"]] == [("unknown", 2)]
    assert [(r.due, r.changes) for r in (failed, still)] == [
        (True, ("Check of interfaces failed: OSError: no",)),
        (False, ()),
    ]
    (again,) = host.rates(300.0)
    assert (again.severity, again.changes) == (
        C,
        (f"CRITICAL: {breach(300.0)}", "Check of interfaces answers again"),
    )


def test_an_alert_recovers_after_a_failed_check_only_if_measured():
    """It recovers at the first check that measures it within its limit, not before."""
    host = CheckedHost(**LIMIT)
    host.rates(300.0)
    assert "recovered" not in host.check(failed=["interfaces"]).metrics
    assert host.rates(0.0)[0].details == f"{QUIET} Recovered: eth0 outbound after 1 min."


def test_a_failed_collector_does_not_stop_the_evaluation_of_the_others():
    """Connections recover while interfaces cannot be read."""
    host = CheckedHost(**LIMIT)
    host.check(nic(tx=300.0), connections=1001)
    report = host.check(connections=5, failed=["interfaces"])
    assert report.details == f"{breach(300.0)} (last known)"
    assert keys(report.metrics["recovered"]) == [("connections", "host")]
    assert [f["collector"] for f in report.metrics["failures"]] == ["interfaces"]


def test_a_failed_check_alone_is_reported_as_such():
    """Without an active alert it is ``check_failed``; with report_on "change" it and its end are reported."""
    host = CheckedHost(report_on="change")
    seen = [host.check(nic(), failed=failed) for failed in ((), ["connections"], ["connections"], ())]
    assert [(r.status, r.severity, r.due) for r in seen] == [
        ("healthy", I, True),
        ("check_failed", W, True),
        ("check_failed", W, False),
        ("healthy", I, True),
    ]
    assert seen[1].details == "Check of connections failed: OSError: no"


def test_an_unknown_rate_is_no_recovery():
    """With a counter that was reset or is missing, the rate is unknown."""
    host = CheckedHost(**LIMIT)
    host.rates(300.0)
    unknown = [host.check(nic(tx=None)), host.check(nic(tx=None, counters=False))]
    assert {r.details for r in unknown} == {f"{breach(300.0)} (last known)"}
    assert host.rates(0.0)[0].details == f"{QUIET} Recovered: eth0 outbound after 1 min 30 s."


def test_errors_without_counters_are_unknown():
    """Without counters there are no new errors, and no recovery either."""
    host = CheckedHost()
    host.check(nic(drops=3))
    assert host.check(nic(counters=False)).details == "eth0 errors: TX=0 RX=0 drops=3 (last known)"


def test_an_unknown_protocol_metric_is_no_recovery():
    """Counters that went back leave the alert as last known; a quiet host resolves it."""
    host = CheckedHost(retransmit_threshold_percent=2)
    breached = Protocols(out_segments_per_sec=500.0, retransmit_percent=5.0)
    quiet = Protocols(out_segments_per_sec=1.0, retransmit_percent=None)
    seen = [host.check(protocols=protocols).details for protocols in (breached, Protocols(), quiet)]
    finding = "TCP retransmits 5.0% > 2%"
    assert seen[:2] == [finding, f"{finding} (last known)"]
    assert seen[2].startswith(f"{QUIET} Recovered: ")


def test_a_pending_alert_outlasts_a_failed_check_and_is_not_reported_in_it():
    """Unknown is neither a breach nor the end of one."""
    host = CheckedHost(**LIMIT, alert_after_checks=3)
    assert [r.severity for r in host.rates(300.0, 300.0)] == [I, I]
    host.change(**LIMIT, alert_after_checks=2)
    assert host.check(nic(tx=None)).severity == I
    assert host.rates(300.0)[0].severity == W


@pytest.mark.parametrize(
    ("kind", "seen", "details"),
    [
        ("veth", (), f"{QUIET} Ended: eth0 outbound after 30 s (eth0 is gone)."),
        (None, (nic("eth1"),), f"{QUIET} Ended: eth0 outbound after 30 s (eth0 is gone)."),
        ("", (), "eth0 is gone"),
    ],
)
def test_a_rate_whose_interface_is_gone_has_not_recovered(kind, seen, details):
    """The alert is resolved with that reason; a physical interface that is gone is a finding of its own."""
    host = CheckedHost(**LIMIT)
    host.check(nic(tx=300.0, kind=kind, index=2))
    report = host.check(*seen)
    assert report.details == details
    assert "recovered" not in report.metrics
    assert report.metrics["ended"] == [
        {"check": "tx_rate", "subject": "eth0", "lasted_s": 30.0, "reason": "gone"}
    ]


def test_an_excluded_interface_has_not_recovered():
    """The report names the settings as the reason, because the interface is not watched any more."""
    host = CheckedHost(**LIMIT)
    host.check(nic(tx=300.0, kind="", index=2))
    host.change(**LIMIT, exclude_interfaces=["eth*"])
    report = host.check()
    assert report.details == f"{QUIET} Ended: eth0 outbound after 30 s (settings changed)."
    assert report.metrics["ended"][0]["reason"] == "settings"
    assert host.check().details == QUIET


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
        ({**LIMIT, "alert_after_checks": 5}, W, breach(300.0)),
        ({**LIMIT, "critical_after_checks": 2}, C, breach(300.0)),
    ],
)
def test_active_alerts_are_evaluated_again_under_new_settings(changed, severity, details):
    """An alert that ends at the next check because its limit was moved has not recovered."""
    host = CheckedHost(**LIMIT)
    host.rates(300.0)
    host.change(**changed)
    (report,) = host.rates(300.0)
    assert (report.severity, report.details) == (severity, details)


def test_a_lower_limit_is_breached_at_the_next_check():
    """A rate that was within the old limit becomes an alert."""
    host = CheckedHost(**LIMIT)
    assert host.rates(200.0)[0].severity == I
    host.change(tx_threshold_mbps=100)
    assert host.rates(200.0)[0].details == "eth0 outbound 200.0 Mbps > 100 Mbps"


def test_critical_becomes_warning_when_turned_off():
    """The alert stays active as a WARNING, and a report is due."""
    host = CheckedHost(**LIMIT, critical_after_checks=1, report_on="change")
    host.rates(300.0)
    host.change(**LIMIT, report_on="change")
    (report,) = host.rates(300.0)
    assert (report.severity, report.due) == (W, True)


def test_settings_changed_during_a_failed_check_count_at_the_next_one():
    """They are the reason of the end, although the failed check already had them."""
    host = CheckedHost(**LIMIT)
    host.rates(300.0)
    host.change(tx_threshold_mbps=400)
    host.check(failed=["interfaces"])
    assert host.rates(300.0)[0].metrics["ended"][0]["reason"] == "settings"


def test_errors_of_one_check_end_with_the_next():
    """The next report is healthy and due; only its metrics have the end."""
    host = CheckedHost(report_on="change")
    reports = [host.check(nic(drops=drops)) for drops in (3, 0, 0)]
    assert [(r.severity, r.details, r.due) for r in reports] == [
        (W, "eth0 errors: TX=0 RX=0 drops=3", True),
        (I, QUIET, True),
        (I, QUIET, False),
    ]
    assert keys(reports[1].metrics["recovered"]) == [("packet_errors", "eth0")]


def test_errors_that_lasted_recover_in_the_details():
    """Errors in several checks are a condition whose end is reported."""
    host = CheckedHost()
    reports = [host.check(nic(drops=drops)) for drops in (3, 1, 0)]
    assert reports[-1].details == f"{QUIET} Recovered: eth0 errors after 1 min."


def test_recovered_and_ended_alerts_have_one_sentence_each():
    """Recovered alerts and alerts that ended for another reason are kept apart."""
    host = CheckedHost(**LIMIT)
    host.check(nic(tx=300.0), nic("veth1", tx=300.0), connections=1001)
    assert host.check(nic()).details == (
        f"{QUIET} Recovered: eth0 outbound after 30 s, connection count after 30 s. "
        "Ended: veth1 outbound after 30 s (veth1 is gone)."
    )
