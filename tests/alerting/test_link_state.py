"""Links that go down, flap and vanish, over checks in a row."""

import pytest

from network_health.alerting.link_state import MOST_GONE
from tests.watching import Watch, keys, nic

QUIET = "Network health within normal bounds."
UP_AGAIN = f"{QUIET} Recovered: eth0 link after "


def details(watch, *checks):
    """The details of each check, for one tuple of interfaces each."""
    return [watch(*seen).details for seen in checks]


@pytest.mark.parametrize(
    ("before", "after", "is_down"),
    [
        ({"up": True}, {"up": False}, True),
        ({"up": True, "operstate": "up"}, {"up": True, "operstate": "down"}, True),
        ({"up": True, "operstate": "up"}, {"up": True, "operstate": "lowerlayerdown"}, True),
        ({"up": True, "operstate": "up"}, {"up": True, "operstate": "notpresent"}, True),
        ({"up": True, "operstate": "up"}, {"up": False, "operstate": "dormant"}, True),
        ({"up": True, "operstate": "unknown"}, {"up": True, "operstate": "unknown"}, False),
        ({"up": True, "operstate": "up"}, {"up": True, "operstate": "unknown"}, False),
        ({"up": True, "operstate": "unknown"}, {"up": False, "operstate": "unknown"}, True),
        ({"up": True, "operstate": "up"}, {"up": True, "operstate": "testing"}, False),
        ({"up": False}, {"up": False}, False),
        ({"up": True, "operstate": "down"}, {"up": True, "operstate": "down"}, False),
        ({"up": True, "kind": "bridge"}, {"up": False, "kind": "bridge"}, False),
        ({"up": True, "kind": "veth"}, {"up": False, "kind": "veth"}, True),
        ({"up": True, "index": 4}, {"up": False, "index": 9}, False),
        ({"up": True, "index": 4}, {"up": False}, True),
    ],
)
def test_down_is_a_link_that_was_seen_up(before, after, is_down):
    """By the flag or the operational state; unknown is not down, and a new link under the name not either."""
    watch = Watch()
    assert watch(nic(**before)).details == QUIET
    report = watch(nic(**after))
    assert report.details == ("eth0 is down" if is_down else QUIET)
    assert report.severity == ("WARNING" if is_down else "INFO")


def test_a_link_that_goes_down_is_told_once_and_so_is_its_return():
    """With report_on "change" two reports, however long it is down."""
    watch = Watch(report_on="change")
    reports = [watch(nic(up=up)) for up in (True, False, False, False, True, True)]
    assert [(r.details, r.due) for r in reports] == [
        (QUIET, True),
        ("eth0 is down", True),
        ("eth0 is down", False),
        ("eth0 is down", False),
        (f"{UP_AGAIN}1 min 30 s.", True),
        (QUIET, False),
    ]
    assert reports[1].metrics["alerts"][0]["aspect"] == "down"


def test_link_findings_come_first():
    """They are the likely cause of the rest."""
    watch = Watch(conn_threshold=1)
    watch(nic())
    assert watch(nic(up=False), connections=2).details == "eth0 is down; High connection count: 2 > 1"


def test_links_are_not_told_when_the_setting_is_off():
    """Turned off, a standing alert ends by that; turned on again, what is known still counts."""
    watch = Watch(link_down_alerts=False)
    assert details(watch, [nic()], [nic(up=False)]) == [QUIET, QUIET]
    watch.change(link_down_alerts=True)
    assert watch(nic(up=False)).details == "eth0 is down"
    watch.change(link_down_alerts=False)
    assert watch(nic(up=False)).details == f"{QUIET} Ended: eth0 link after 30 s (settings changed)."


def test_a_link_that_is_gone_is_not_told_when_the_setting_is_off():
    """It is the setting that ends the alert; turned on again, what vanished meanwhile is no news."""
    watch = Watch()
    assert details(watch, [nic(kind="", index=2)], []) == [QUIET, "eth0 is gone"]
    watch.change(link_down_alerts=False)
    assert watch().details == f"{QUIET} Ended: eth0 link after 30 s (settings changed)."
    watch.change()
    assert watch().details == QUIET


def test_a_removed_link_is_not_down():
    """A virtual one may go; if it was told as down, that ends without a recovery."""
    watch = Watch()
    assert details(watch, [nic(kind="veth")], []) == [QUIET, QUIET]
    assert details(watch, [nic(kind="veth")], [nic(kind="veth", up=False)], []) == [
        QUIET,
        "eth0 is down",
        f"{QUIET} Ended: eth0 link after 30 s (eth0 is gone).",
    ]


def test_a_link_created_again_while_down_keeps_its_alert():
    """The name is still down; it recovers when it is up, not when it is created."""
    watch = Watch()
    before, new = {"kind": "tun", "index": 4}, {"kind": "tun", "index": 5}
    assert details(
        watch,
        [nic(**before)],
        [nic(up=False, **before)],
        [nic(up=False, **new)],
        [nic(**new)],
    ) == [QUIET, "eth0 is down", "eth0 is down", f"{UP_AGAIN}1 min."]


@pytest.mark.parametrize(
    ("name", "link", "later", "text"),
    [
        ("eth0", {"kind": "", "index": 2}, [], "eth0 is gone"),
        ("eth0", {"kind": "", "index": 2}, [nic("eth1", kind="", index=3)], "eth0 is gone"),
        ("eth0", {"kind": "", "index": 2, "up": False}, [], "eth0 is gone"),
        ("eth0", {"kind": "", "index": 2}, [nic("wan0", kind="", index=2)], QUIET),
        ("eth0", {"kind": None, "index": 2}, [], QUIET),
        ("eth0", {"kind": "veth", "index": 2}, [], QUIET),
        ("eth0", {"kind": "vlan", "index": 2}, [], QUIET),
        ("lo", {"kind": "", "index": 1}, [], QUIET),
    ],
)
def test_a_physical_link_that_vanished_is_told(name, link, later, text):
    """Virtual ones and those of unknown kind come and go; a renamed one is still there."""
    watch = Watch()
    watch(nic(name, **link))
    assert watch(*later).details == text


def test_a_link_is_gone_until_it_returns():
    """Or until it is excluded; one that returns down has not recovered yet."""
    watch, eth0 = Watch(), {"kind": "", "index": 2}
    assert details(
        watch, [nic(**eth0)], [], [], [nic(up=False, kind="", index=7)], [nic(kind="", index=7)]
    ) == [
        QUIET,
        "eth0 is gone",
        "eth0 is gone",
        "eth0 is down",
        f"{UP_AGAIN}1 min 30 s.",
    ]
    watch()
    watch.change(exclude_interfaces=["eth0"])
    assert details(watch, [], []) == [f"{QUIET} Ended: eth0 link after 30 s (settings changed).", QUIET]


def test_a_reader_that_knows_no_kind_does_not_make_one_forget_it():
    """The kernel refused for one check: what was physical stays so."""
    watch = Watch()
    assert details(watch, [nic(kind="", index=2)], [nic(kind=None, index=2)], []) == [
        QUIET,
        QUIET,
        "eth0 is gone",
    ]


def test_a_blind_check_makes_no_link_vanish():
    """Nothing was seen, so nothing was seen to be missing."""
    watch = Watch()
    watch(nic(kind="", index=2))
    assert watch(failed=["interfaces"]).status == "check_failed"
    assert watch(nic(kind="", index=2)).details == QUIET


def test_of_very_many_vanished_links_the_latest_are_told():
    """A host that makes and removes physical links without end fills neither memory nor report."""
    watch = Watch()
    for number in range(MOST_GONE + 10):
        watch(nic(f"vf{number}", kind="", index=number))
    report = watch()
    assert len(report.metrics["alerts"]) == MOST_GONE
    assert keys(report.metrics["alerts"])[-1] == ("link", f"vf{MOST_GONE + 9}")


def flaps(watch, *checks, after_s=30.0):
    """The details of each check, for (carrier changes so far, up) each."""
    seen = [nic(carrier_changes=changes, up=up, index=3) for changes, up in checks]
    return [watch(link, after_s=after_s).details for link in seen]


def test_a_link_that_went_down_and_up_once_is_not_flapping():
    """Two carrier changes, whether a check saw it down or not."""
    assert flaps(Watch(), (4, True), (6, True), (6, True)) == [QUIET, QUIET, QUIET]
    assert flaps(Watch(), (4, True), (5, False), (6, True)) == [QUIET, "eth0 is down", f"{UP_AGAIN}30 s."]


def test_flapping_is_one_finding_until_two_quiet_minutes():
    """However often it is up or down at a check, there is one alert, and one recovery."""
    watch = Watch(report_on="change")
    seen = (4, True), (11, True), (13, False), (14, True), (14, True), (14, True), (14, True), (14, True)
    assert flaps(watch, *seen) == [
        QUIET,
        "eth0 is flapping: 7 carrier changes in 30 s",
        "eth0 is flapping: 9 carrier changes in 1 min",
        "eth0 is flapping: 10 carrier changes in 1 min 30 s",
        "eth0 is flapping: 10 carrier changes in 2 min",
        "eth0 is flapping: 3 carrier changes in 2 min",
        "eth0 was flapping until 1 min 30 s ago",
        f"{UP_AGAIN}3 min.",
    ]


def test_one_report_for_all_flaps():
    """With report_on "change": one for the flapping, one for its end."""
    watch = Watch(report_on="change")
    counts = [4, *range(7, 60, 3), *[60] * 10]
    due = [watch(nic(carrier_changes=c, up=c % 2 == 0, index=3)).due for c in counts]
    assert sum(due) == 3
    assert due[:2] == [True, True]


def test_a_slow_flapper_is_found_as_well():
    """Down, up, down within two minutes; before it is known as flapping, down and up are told."""
    assert flaps(Watch(), (4, True), (5, False), (6, True), (7, False), (7, False)) == [
        QUIET,
        "eth0 is down",
        f"{UP_AGAIN}30 s.",
        "eth0 is flapping: 3 carrier changes in 1 min 30 s",
        "eth0 is flapping: 3 carrier changes in 2 min",
    ]


def test_two_minutes_are_meant_with_a_little_jitter():
    """Checks a minute apart are never exactly that."""
    assert flaps(Watch(), (4, True), (6, True), (7, False), after_s=60.2)[-1] == (
        "eth0 is flapping: 3 carrier changes in 2 min"
    )


def test_three_changes_in_more_than_two_minutes_are_not_flapping():
    """One a minute and a half."""
    assert flaps(Watch(), (4, True), (6, True), (8, True), (10, True), after_s=91) == [QUIET] * 4


@pytest.mark.parametrize(("changes", "is_flapping"), [(60, False), (61, True)])
def test_checks_an_hour_apart_need_more_than_two_changes_per_two_minutes(changes, is_flapping):
    """Only then there must have been two minutes with more than two."""
    _, text = flaps(Watch(), (4, True), (4 + changes, True), after_s=3600)
    assert text == (f"eth0 is flapping: {changes} carrier changes in 1 h" if is_flapping else QUIET)


def test_a_link_that_flapped_down_is_down():
    """One alert all along, which changes its aspect and is told again when it does."""
    watch = Watch(report_on="change")
    links = [nic(carrier_changes=c, up=c % 2 == 0, index=3) for c in (4, 7, 7, 7, 7, 7)]
    reports = [watch(link) for link in links]
    assert [(r.details, r.due) for r in reports[3:]] == [
        ("eth0 is flapping: 3 carrier changes in 1 min 30 s", False),
        ("eth0 is flapping: 3 carrier changes in 2 min", False),
        ("eth0 is down", True),
    ]
    assert not any("recovered" in r.metrics for r in reports)


def test_another_link_under_the_name_does_not_flap():
    """Another index, or a counter that went back, starts the count anew."""
    watch = Watch()
    flap = "eth0 is flapping: 5 carrier changes in 30 s"
    assert flaps(watch, (4, True), (9, True), (2, True)) == [QUIET, flap, f"{UP_AGAIN}30 s."]
    assert watch(nic(carrier_changes=900, index=8)).details == QUIET


def test_without_the_counter_there_is_no_flapping():
    """psutil does not know it; what the kernel counted before and after such a check is still true."""
    watch = Watch()
    assert (
        details(watch, [nic(index=3, carrier_changes=4)], [nic(index=3)], [nic(index=3, carrier_changes=9)])
        == [QUIET] * 3
    )
    assert watch(nic(index=3, carrier_changes=12)).details == "eth0 is flapping: 3 carrier changes in 30 s"


def test_a_bridge_comes_and_goes_with_its_ports():
    """docker0 without a container is no fault, however often that changes."""
    watch = Watch()
    seen = [[nic("docker0", kind="bridge", index=5, up=n % 2 == 0, carrier_changes=n * 3)] for n in range(6)]
    assert set(details(watch, *seen)) == {QUIET}


def test_down_must_last_as_other_findings_must():
    """``alert_after_checks`` holds for links; one that was down for less is never told."""
    watch = Watch(alert_after_checks=2)
    ups = (True, False, True, False, False, True)
    assert details(watch, *[[nic(up=up)] for up in ups]) == [
        *[QUIET] * 4,
        "eth0 is down",
        f"{UP_AGAIN}1 min.",
    ]
