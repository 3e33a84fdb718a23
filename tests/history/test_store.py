"""What is kept of each check, for how long, and in how much space."""

import sqlite3
from dataclasses import replace

import pytest

from network_health import Settings
from network_health.alerting import Alert, evaluate, step
from network_health.alerting.alert_state import AlertState
from network_health.history import History, HistoryError, KeptAlert, KeptSettings, Store, schema
from network_health.model import (
    Connections,
    Failure,
    Finding,
    Interface,
    Link,
    ProcessDetails,
    ProcessSample,
    RankedProcess,
)
from network_health.reporting import redacted
from tests.checked_host import CheckedHost, nic
from tests.history.kept import EVER, FIRST, MB, counts, modes, rows, times, whole_report, written


@pytest.fixture
def path(tmp_path):
    return tmp_path / "h.sqlite"


def test_a_check_comes_back_as_it_was(path):
    """Interfaces with all that alerting evaluates, states, protocols, processes by name, containers, cost."""
    host = CheckedHost()
    report = whole_report(host)
    store = Store(path, 64 * MB)
    store.add(report, host.settings)
    store.close()
    with History.open(path) as history:
        (kept,) = history.checks(*EVER)
    assert (kept.at, kept.is_summary, kept.period_s, kept.status) == (FIRST, False, 30.0, "healthy")
    snapshot = kept.snapshot
    assert snapshot.interfaces == report.interfaces
    assert snapshot.connections == Connections({"ESTABLISHED": 7, "NONE": 2, "OTHER": 1})
    assert snapshot.top_processes == (RankedProcess(ProcessSample(0, "nginx", 0.0, None, 4 << 20), 15.0),)
    assert snapshot.protocols.retransmit_percent == 1.5
    assert snapshot.protocols.conntrack.percent == report.protocols.conntrack.percent
    assert snapshot.protocols.listen_overflows_per_sec is None
    assert [(n.label, n.total) for n in snapshot.namespaces.entries] == [("container web", 6)]
    assert snapshot.cost == report.cost


def test_the_replay_of_kept_checks_gives_the_same_alerts(path):
    """Breaches, unknown rates, failed collectors: each check has the findings that it had."""
    host = CheckedHost(tx_threshold_mbps=50, conn_threshold=20, packet_error_percent=1)
    store, expected = Store(path, 64 * MB), []
    for number in range(60):
        report = whole_report(
            host,
            number,
            failed=("interfaces",) if number in (20, 21) else ("connections",) if number == 40 else (),
        )
        if number in (40,):
            report = replace(report, connections=None)
        store.add(report, host.settings)
        expected.append({(a.finding.check, a.finding.subject, a.finding.value) for a in report.alerts})
    store.close()
    state, found = AlertState(), []
    with History.open(path) as history:
        for number, kept in enumerate(history.checks(*EVER)):
            findings = evaluate(kept.snapshot, host.settings)
            state, verdict = step(state, findings, kept.snapshot, host.settings, number * 30.0)
            found.append({(a.finding.check, a.finding.subject, a.finding.value) for a in verdict.alerts})
    # The connections of the report are set after its check, and are 10 lower.
    without = [{each for each in alerts if each[0] != "connections"} for alerts in expected]
    assert [{each for each in alerts if each[0] != "connections"} for alerts in found] == without
    assert any(without)


def test_five_minutes_and_hours_are_summarized(path):
    """Average, highest and 95th percentile of the checks of each whole period, and how many there were."""
    written(path, 300)  # 04:57:10 to 07:26:40 of a clock whose hours begin at 1,700,006,400
    hour = rows(
        path, "SELECT at, checks, total, total_highest, total_p95, first_check, last_check FROM hours"
    )
    # 46 checks before the first whole hour have 10 to 55 sockets.
    assert hour[0] == (1700002800.0, 46, 32.5, 55, 53, 1, 46)
    assert hour[1] == (1700006400.0, 120, 115.5, 175, 169, 47, 166)
    assert counts(path) == (300, 30, 3)
    with History.open(path) as history:
        assert history.first_at == FIRST  # not the begin of its hour
    nic0 = rows(
        path,
        "SELECT checks, tx_mbps, tx_mbps_highest, tx_mbps_p95, rx_mbps FROM hours_interfaces "
        "WHERE sequence = 2 AND name = 'eth0'",
    )
    assert nic0 == [(120, 105.5, 165.0, 159.0, 2.5)]


def test_a_restart_continues_the_period(path):
    """The summary of an hour has the checks before and after it."""
    host = written(path, 100)
    store = Store(path, 64 * MB)
    for number in range(100, 200):
        store.add(whole_report(host, number), host.settings)
    store.close()
    assert rows(path, "SELECT checks FROM hours") == [(46,), (120,)]
    assert rows(path, "SELECT sum(checks), count(*) FROM five_minutes") == [(196, 20)]


def test_a_clock_that_is_set_back_loses_nothing(path):
    """Checks are kept in the order in which they were made; the times repeat."""
    host = written(path, 50)
    host.epoch -= 3600
    written(path, 50, host=host)
    kept = times(path)
    assert kept == [FIRST + 30 * n for n in range(50)] + [FIRST + 30 * n - 3600 for n in range(50, 100)]
    with History.open(path) as history:
        assert history.last_at == kept[-1]
        assert history.first_at == min(kept)
        total = history.connections(*EVER)["total"]
    assert list(total.at) == sorted([*kept, kept[-1] + 30])  # and the gap


def test_old_checks_are_removed_by_their_own_time(path):
    """After 48 hours, a few with each check; a clock that was wrong for one check removes no other."""
    host = written(path, 20)
    host.epoch -= 40 * 365 * 86400
    written(path, 1, host=host)  # a host without a clock begins in the past
    host.epoch += 40 * 365 * 86400
    written(path, 2, host=host)
    assert len(times(path)) == 22  # without the one from the past
    host.now_s += 48 * 3600
    written(path, 3, host=host)
    assert len(times(path)) == 22 + 3 - 2 * 4  # in the first one the clock may be wrong
    written(path, 4, host=host)
    assert [at - FIRST > 48 * 3600 for at in times(path)] == [True] * 7


def test_a_clock_that_is_in_the_future_for_one_check_removes_nothing(path):
    """No check, no summary, and no alert that has ended."""
    host = written(path, 20)
    host.epoch += 1000 * 86400
    written(path, 1, host=host)
    host.epoch -= 1000 * 86400
    written(path, 20, host=host)
    assert len(times(path)) == 41


@pytest.mark.slow
def test_the_size_holds_and_the_oldest_goes_first(path):
    """Checks go before the summaries of five minutes, these before hours; the newest is always there."""
    host = CheckedHost()
    store = Store(path, 1 * MB)
    largest = 0
    for number in range(3000):
        names = [nic(f"eth{n}", tx=number / 7 + n, rx=1.25, index=n, packets=number) for n in range(12)]
        store.add(host.check(*names, connections=number), host.settings)
        largest = max(largest, sum(part.stat().st_size for part in path.parent.iterdir()) - 32768)
    store.close()
    assert largest < 1.05 * MB  # with what SQLite writes beside it
    assert path.stat().st_size < 1 * MB
    kept = times(path)
    assert kept[-1] == FIRST + 30 * 2999
    assert kept == [kept[0] + 30 * n for n in range(len(kept))]
    assert len(kept) >= 120
    assert counts(path)[2] == 25  # every hour
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.slow
def test_a_smaller_limit_shrinks_the_file(path):
    """Part by part, so that no check takes long."""
    host = written(path, 3000)
    assert path.stat().st_size > 1.3 * MB
    written(path, 30, host=host, max_mb=1)
    assert path.stat().st_size < 1 * MB


def test_the_file_is_for_this_user_alone(path):
    """Also the two that SQLite keeps beside it."""
    host = CheckedHost()
    store = Store(path, 64 * MB)
    store.add(whole_report(host), host.settings)
    assert modes(path.parent) == {"h.sqlite": 0o600, "h.sqlite-wal": 0o600, "h.sqlite-shm": 0o600}
    store.close()


def test_an_alert_is_one_row(path):
    """Its first and highest value, the sentence of the highest, the limit, and why it ended."""
    host = CheckedHost(critical_after_checks=3)
    store = Store(path, 64 * MB)
    for report in host.rates(50.0, 150.0, 300.0, 200.0, 50.0):
        store.add(replace(report, culprits={"tx_rate": [{"iface": "eth0", "bytes": 7}]}), host.settings)
    store.close()
    with History.open(path) as history:
        assert history.alerts(*EVER) == (
            KeptAlert(
                check="tx_rate",
                subject="eth0",
                aspect="",
                begin=FIRST + 30,
                end=FIRST + 120,
                end_reason="normal",
                severity="CRITICAL",
                value=150.0,
                highest=300.0,
                limit=100,
                details="eth0 outbound 300.0 Mbps > 100 Mbps",
                culprits={"iface": "eth0", "bytes": 7},
                checks=3,
            ),
        )
        assert history.alerts(FIRST + 121, 1e12) == ()
        assert len(history.alerts(FIRST + 60, FIRST + 61)) == 1
        assert history.alerts(*EVER, interface="eth1") == ()


def test_of_long_evidence_the_first_entries_are_kept(path):
    """The largest culprits come first in each list; the rest would need too much space."""
    host = CheckedHost()
    processes = [{"name": f"worker-{n}", "peers": ["10.0.0.1:443"] * 50} for n in range(100)]
    store = Store(path, 64 * MB)
    for report in host.rates(50.0, 150.0):
        evidence = {"tx_rate": [{"iface": "eth0", "processes": processes}]}
        store.add(replace(report, culprits=evidence), host.settings)
    store.close()
    with History.open(path) as history:
        (alert,) = history.alerts(*EVER)
    kept = [{"name": f"worker-{n}", "peers": ["10.0.0.1:443"] * 5} for n in range(5)]
    assert alert.culprits == {"iface": "eth0", "processes": kept, "is_shortened": True}


def test_an_agent_that_starts_again_continues_the_alert(path):
    """The row stays open; if the next agent does not know the alert, it ended with the last check."""
    host = CheckedHost()
    store = Store(path, 64 * MB)
    for report in host.rates(150.0, 150.0):
        store.add(report, host.settings)
    store.close()
    store = Store(path, 64 * MB)
    store.add(host.check(nic(tx=160.0)), host.settings)
    store.close()
    with History.open(path) as history:
        (alert,) = history.alerts(*EVER)
    assert (alert.begin, alert.end, alert.highest) == (FIRST, None, 160.0)
    host.state = AlertState()
    host.now_s += 600
    store = Store(path, 64 * MB)
    store.add(host.check(nic(tx=10.0)), host.settings)
    store.close()
    with History.open(path) as history:
        (alert,) = history.alerts(*EVER)
    assert (alert.begin, alert.end, alert.end_reason) == (FIRST, FIRST + 60, "unknown")


def test_the_settings_in_force_are_kept(path):
    """Each change with its time; the first ones that were known are those before."""
    host = CheckedHost(tx_threshold_mbps=250)
    written(path, 2, host=host)
    host.change(conn_threshold=50)
    written(path, 2, host=host)
    with History.open(path) as history:
        assert history.limits(FIRST + 70, 1e12) == (KeptSettings(FIRST + 60, Settings(conn_threshold=50)),)
        assert [each.at for each in history.limits(0, 1e12)] == [FIRST, FIRST + 60]


def test_an_earlier_schema_is_upgraded_in_place(path, monkeypatch):
    """What was kept is still there, and new checks are added."""
    host = written(path, 3)
    monkeypatch.setattr(schema, "VERSION", 2)
    monkeypatch.setattr(schema, "_UPGRADES", (*schema._UPGRADES, ("CREATE TABLE notes (text)",)))
    written(path, 1, host=host)
    assert rows(path, "SELECT * FROM notes") == []
    assert rows(path, "PRAGMA user_version") == [(2,)]
    assert len(times(path)) == 4


def test_a_file_of_a_newer_version_is_left_alone(path):
    """Neither written nor read: its tables may mean something else."""
    written(path, 1)
    db = sqlite3.connect(path)
    db.execute("PRAGMA user_version = 9")
    db.close()
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="written by a newer version"):
        Store(path, MB)
    with pytest.raises(HistoryError, match="has schema version 9"):
        History.open(path)
    assert path.read_bytes() == before


def test_a_database_of_another_program_is_left_alone(path):
    """Its application_id is not that of a history."""
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE a (b)")
    db.close()
    with pytest.raises(HistoryError, match="database of another program"):
        Store(path, MB)
    with pytest.raises(HistoryError, match="is not a history"):
        History.open(path)


def test_names_that_are_not_utf_8_are_kept(path):
    """The kernel allows any bytes in the name of a process or an interface."""
    host = CheckedHost()
    report = host.check(Interface(Link("e\udcfft", up=True), 1.0, 2.0))
    store = Store(path, MB)
    store.add(report, host.settings)
    store.close()
    with History.open(path) as history:
        assert list(history.interfaces(*EVER)) == ["e\\udcfft"]


SECRETS = ("10.77.66.55", "2001:db8:77::66", "alice")


def secret_reports(host):
    """Reports whose alert, evidence, failures, processes and links name addresses and a user."""
    link = Link("eth0", up=True, ipv4=(SECRETS[0],), ipv6=(SECRETS[1],))
    finding = Finding("connections", "host", "many", 9, 5, culprit=f" (80% to {SECRETS[0]})")
    for number in range(40):
        yield replace(
            host.check(Interface(link, 1.0, 2.0), connections=number),
            alerts=(Alert(finding, FIRST, 1.0, number, active=True),),
            culprits={"connections": {"address": SECRETS[1], "user": SECRETS[2]}},
            failures=(Failure("protocols", f"OSError: {SECRETS[0]}"),),
            processes=(
                RankedProcess(
                    ProcessSample(7, f"nc {SECRETS[0]}", 1.0, 2.0, 3), 4.0, ProcessDetails(user=SECRETS[2])
                ),
            ),
        )


def found_in(path):
    """The secrets that the bytes of the history, or of a file beside it, contain."""
    content = b"".join(part.read_bytes() for part in path.parent.iterdir())
    return [secret for secret in SECRETS if secret.encode() in content]


def test_what_redact_masks_is_not_in_the_file(path):
    """Not in a row, and not in a page that is free again."""
    host = CheckedHost(
        redact=["addresses", "users"], prometheus_listen=f"{SECRETS[0]}:9101", history=f"/home/{SECRETS[2]}/h"
    )
    store = Store(path, 64 * MB)
    for report in secret_reports(host):
        store.add(redacted(report, host.settings.redact), host.settings)
    assert found_in(path) == []
    store.close()
    assert found_in(path) == []


def test_redact_masks_what_was_kept_before_it_was_set(path):
    """With the first check after it was set."""
    host = CheckedHost()
    store = Store(path, 64 * MB)
    for report in secret_reports(host):
        store.add(report, host.settings)
    assert found_in(path) == list(SECRETS)
    host.change(redact=["addresses", "users"])
    store.add(redacted(next(secret_reports(host)), host.settings.redact), host.settings)
    assert found_in(path) == []
    store.close()
    with History.open(path) as history:
        (alert,) = history.alerts(*EVER)
    assert alert.details == "many (80% to <address>)"
    assert alert.culprits == {"address": "<address>", "user": "<user>"}


def test_a_range_across_48_hours_has_no_false_gap(path):
    """What is only kept as five minutes sets the periods of the whole range."""
    host = CheckedHost()
    store = Store(path, 64 * MB)
    for _ in range(6000):
        store.add(host.check(nic(tx=1.0), connections=3), host.settings)
    store.close()
    with History.open(path) as history:
        total = history.connections(history.last_at - 49.5 * 3600, history.last_at - 47 * 3600)["total"]
    assert total.period_s == 300
    assert set(total.average) == {3.0}
