"""Properties of alerting that hold for every sequence of readings."""

import json
import random

from hypothesis import event, given, settings
from hypothesis import strategies as st

from network_health.alerting.link_state import MAX_GONE
from tests.checked_host import CheckedHost, keys, nic
from tests.examples import examples

QUIET = "Network health within normal bounds."

LINK = st.fixed_dictionaries(
    {
        "tx": st.sampled_from([None, 0.0, 50.0, 95.0, 100.0, 100.01, 300.0]),
        "drops": st.sampled_from([0, 0, 0, 1, 9]),
        "packets": st.sampled_from([0, 50, 500]),
        "up": st.booleans(),
        "counters": st.sampled_from([True, True, True, False]),
        "operstate": st.sampled_from([None, "up", "up", "down", "unknown"]),
        "kind": st.sampled_from([None, "", "", "veth", "bridge"]),
        "index": st.sampled_from([None, 2, 2, 2, 3, 4]),
        "carrier_changes": st.none() | st.integers(0, 12),
    }
)
CONFIG = st.fixed_dictionaries(
    {},
    optional={
        "alert_after_checks": st.integers(1, 3),
        "clear_percent": st.sampled_from([100, 90, 50]),
        "report_on": st.sampled_from(["change", "check"]),
        "repeat_after_sec": st.sampled_from([60, 100, 3600]),
        "critical_after_checks": st.integers(0, 4),
        "link_down_alerts": st.booleans(),
        "packet_errors": st.sampled_from(["new", "total"]),
        "packet_error_percent": st.sampled_from([0, 1, 10]),
        "tx_threshold_mbps": st.sampled_from([0, 100, 250]),
        "exclude_interfaces": st.sampled_from([(), ("eth1",), ("eth*",)]),
    },
)
NAMES = ("eth0", "eth1", "lo")
CHECK = st.fixed_dictionaries(
    {
        "links": st.dictionaries(st.sampled_from(NAMES), LINK),
        "connections": st.sampled_from([0, 950, 1000, 1001]),
        "failed": st.sampled_from(
            [(), (), (), (), ("interfaces",), ("connections",), ("protocols", "interfaces")]
        ),
        "after_s": st.sampled_from([1.0, 30.0, 30.0, 59.9, 121.0, 4000.0]),
    }
)


def checked(host, links, connections, failed, after_s):
    """The report of one check; like the collector, it leaves out excluded interfaces."""
    hidden = host.settings.exclude_interfaces
    seen = [nic(name, **link) for name, link in links.items() if name not in hidden and "eth*" not in hidden]
    return host.check(*seen, connections=connections, failed=failed, after_s=after_s)


def severities(report):
    """The severity of each active alert, by (check, subject)."""
    alerts = report.metrics.get("alerts", [])
    found = {(a["check"], a["subject"]): a["severity"] for a in alerts}
    assert len(found) == len(alerts), "one state per (check, subject)"
    return found


def resolved(report):
    """(check, subject) of each resolved alert."""
    found = keys(report.metrics.get("recovered", []) + report.metrics.get("ended", []))
    assert len(set(found)) == len(found)
    return set(found)


@settings(max_examples=examples(400), deadline=None)
@given(st.lists(st.tuples(st.none() | CONFIG, CHECK), min_size=1, max_size=14), CONFIG)
def test_no_two_reports_contradict_each_other(steps, config):
    """An alert begins, is in every report and ends once; a receiver of due reports alone misses nothing."""
    host = CheckedHost(**config)
    active, sent = {}, None
    for number, (changed, check) in enumerate(steps):
        if changed is not None:
            host.change(**changed)
        report = checked(host, **check)
        now, ended = severities(report), resolved(report)
        assert not ended & now.keys(), "an alert and its end in one report"
        assert ended == active.keys() - now.keys(), "every end is reported, and none without an alert"
        assert report.status == ("network_issue" if now else "check_failed" if check["failed"] else "healthy")
        assert report.severity == max(
            (*now.values(), "WARNING" if check["failed"] else "INFO"),
            key=["INFO", "WARNING", "CRITICAL"].index,
        )
        if not report.due:
            assert number, "the first report is sent"
            assert sent == now, "nothing is new that was not sent"
        else:
            sent = now
        if not changed and not check["failed"]:
            event("recovered" if "recovered" in report.metrics else "no recovery")
        json.dumps(report.as_content(), allow_nan=False)
        active = now


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(CHECK, min_size=1, max_size=10), CONFIG)
def test_only_a_measured_interface_recovers(checks, config):
    """An interface recovers only if it exists and the collector answered."""
    host = CheckedHost(**config)
    for check in checks:
        report = checked(host, **check)
        seen = set() if "interfaces" in check["failed"] else {*check["links"]}
        for name in {subject for _, subject in keys(report.metrics.get("recovered", []))} - {"host"}:
            assert name in seen


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 200), st.floats(0, 200), st.integers(0, 2), st.integers(0, 30))),
    st.booleans(),
)
def test_the_defaults_warn_if_and_only_if_a_limit_is_breached_now(readings, on_change):
    """The rule of the reference, computed separately for each check."""
    host = CheckedHost(conn_threshold=20, report_on="change" if on_change else "check")
    for tx, rx, drops, sockets in readings:
        breached = tx > 100 or rx > 100 or drops > 0 or sockets > 20
        report = host.check(nic(tx=tx, rx=rx, drops=drops), connections=sockets)
        assert report.severity == ("WARNING" if breached else "INFO")
        assert report.details.startswith(QUIET) is not breached


def test_the_state_is_bounded_by_existing_links_and_active_alerts():
    """Of 10,000 interfaces that come, breach, flap and go, only the latest that vanished are kept."""
    chance = random.Random(7)
    host = CheckedHost(alert_after_checks=2, clear_percent=80)
    names = [f"if{number}" for number in range(10_000)]
    kinds = {name: chance.choice(["veth", "veth", "", None]) for name in names}
    counts = dict.fromkeys(names, 0)
    for start in range(0, 10_000, 25):
        present = names[start : start + 50]
        for name in present:
            counts[name] += chance.choice([0, 0, 1, 9])
        host.check(
            *(
                nic(
                    name,
                    tx=chance.choice([0.0, 90.0, 300.0]),
                    drops=chance.choice([0, 1]),
                    up=chance.random() < 0.7,
                    kind=kinds[name],
                    index=int(name[2:]),
                    carrier_changes=counts[name],
                )
                for name in present
            ),
            after_s=chance.choice([1.0, 10.0]),
        )
        state = host.state
        assert set(state.links.present) == set(present)
        assert len(state.links.gone) <= MAX_GONE
        assert {subject for _, subject in state.alerts} <= {"host", *present, *state.links.gone}
    host.change(link_down_alerts=False)
    host.check()
    assert (host.state.alerts, host.state.links.present, host.state.links.gone) == ({}, {}, {})


def test_a_link_that_flaps_for_an_hour_is_remembered_for_two_minutes():
    """The state stays small over 3,600 checks a second apart, each with a carrier change."""
    host = CheckedHost()
    for second in range(3600):
        host.check(nic(carrier_changes=second, index=2), after_s=1.0)
    assert len(host.state.links.present["eth0"].earlier) <= 122
