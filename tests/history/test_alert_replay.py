"""A replay gives the alerts that the agent had, and those of other settings."""

from network_health import Settings
from network_health.history import KeptSettings, ReplayedAlert, replayed
from tests.checked_host import EPOCH, nic
from tests.history.kept_checks import connections, kept, rates


def found(alerts):
    """(subject, begin and end after `EPOCH`, highest value) of each alert."""
    return [
        (a.subject, a.began - EPOCH, None if a.ended is None else a.ended - EPOCH, a.highest) for a in alerts
    ]


def test_an_alert():
    """It has its begin, its end, its highest value and the sentence of that check."""
    assert replayed(connections(10, 1500, 3000, 2000, 10), Settings()) == (
        ReplayedAlert(
            check="connections",
            subject="host",
            severity="WARNING",
            began=EPOCH + 30,
            ended=EPOCH + 120,
            reason="normal",
            lasted_s=90,
            highest=3000,
            sentence="High connection count: 3000 > 1000",
            breached_checks=3,
            is_exact=True,
        ),
    )


def test_an_alert_that_is_active_at_the_end():
    """It has no end."""
    assert found(replayed(connections(10, 1500), Settings())) == [("host", 30, None, 1500)]


def test_other_settings():
    """They replace those that each check was evaluated with."""
    checks = connections(10, 1500, 3000, 10)
    assert replayed(checks, Settings(conn_threshold=5000)) == ()
    assert found(replayed(checks, Settings(conn_threshold=2000))) == [("host", 60, 90, 3000)]


def test_settings_that_changed():
    """Each check is evaluated with those of its time, and the alert ends with the reason of then."""
    high = Settings(conn_threshold=2000)
    in_force = [KeptSettings(EPOCH - 900, Settings()), KeptSettings(EPOCH + 60, high)]
    alerts = replayed(connections(1500, 1500, 1500, 1500), in_force)
    assert [(alert.reason, alert.ended) for alert in alerts] == [("settings", EPOCH + 60)]


def test_settings_that_changed_after_the_clock_was_set_back():
    """They are in force from the check that they came with, whatever the time of the others is."""
    in_force = [KeptSettings(EPOCH, Settings()), KeptSettings(EPOCH - 600, Settings(conn_threshold=100))]
    checks = [*connections(500, 500), kept(-600, connections=500), kept(-570, connections=500)]
    assert found(replayed(checks, in_force)) == [("host", -600, None, 500)]


def test_checks_in_a_row_over_a_time_without_checks():
    """The agent keeps the count of breached checks while it does not run, and so does the replay."""
    settings = Settings(alert_after_checks=2)
    checks = [kept(0, connections=1500), kept(9000, connections=1500), kept(9030, connections=10)]
    alerts = replayed(checks, settings)
    assert found(alerts) == [("host", 0, 9030, 1500)]
    assert alerts[0].lasted_s == 9030
    assert replayed([checks[0], kept(9000, connections=10), kept(9030, connections=1500)], settings) == ()


def test_a_clock_that_was_set_back():
    """The order is that of the checks, and a duration is not negative."""
    checks = [
        kept(0, connections=10),
        kept(30, connections=1500),
        kept(-3600, connections=1500),
        kept(-3570, connections=10),
    ]
    (alert,) = replayed(checks, Settings())
    assert (alert.began - EPOCH, alert.ended - EPOCH, alert.lasted_s) == (30, -3570, 60)


def test_a_boot_of_the_host():
    """An alert goes on over it; a link with another index is the same link, and is down now."""
    before = [kept(0, nic(index=2, operstate="up"), connections=1500)]
    after = [
        kept(630, nic(index=7, operstate="down")._replace(since_boot=True), connections=1500),
        kept(660, nic(index=7, operstate="down"), connections=10),
    ]
    assert found(replayed(before + after, Settings())) == [("host", 0, 660, 1500), ("eth0", 630, None, 1)]
    after[0] = kept(630, nic(index=7, operstate="down"), connections=1500)
    assert found(replayed(before + after, Settings())) == [("host", 0, 660, 1500)]


def test_an_interface_that_is_excluded():
    """What the agent would not have seen has no alert, also if it was kept."""
    checks = [kept(0, nic(tx=500.0), nic("veth1", tx=400.0)), kept(30, nic(), nic("veth1"))]
    assert {alert.subject for alert in replayed(checks, Settings())} == {"eth0", "veth1"}
    assert {alert.subject for alert in replayed(checks, Settings(exclude_interfaces=("veth*",)))} == {"eth0"}


def test_checks_in_a_row_in_a_summary():
    """A summary of ten checks is enough for up to ten in a row; for twenty, two are needed."""
    checks = rates(500.0, 10.0, 500.0, 500.0, 10.0, period_s=300.0)
    assert len(replayed(checks, Settings(alert_after_checks=10))) == 2
    assert found(replayed(checks, Settings(alert_after_checks=20))) == [("eth0", 600, 1200, 500.0)]
    assert not any(alert.is_exact for alert in replayed(checks, Settings()))


def test_from_summaries_to_checks():
    """An alert that is active at the last summary goes on in the checks, and ends there as normal."""
    summaries = rates(10.0, 500.0, period_s=300.0)
    for values, end in (((200.0, 300.0, 10.0), 660), ((10.0,), 600)):
        checks = [kept(600 + 30 * number, nic(tx=rate)) for number, rate in enumerate(values)]
        (alert,) = replayed([*summaries, *checks], Settings(alert_after_checks=3))
        assert (alert.began - EPOCH, alert.ended - EPOCH, alert.reason) == (300, end, "normal")
