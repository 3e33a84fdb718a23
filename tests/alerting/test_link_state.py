"""Tests of links that go down, flap and vanish, over several checks."""

import pytest

from network_health.alerting.link_state import MAX_GONE
from tests.checked_host import CheckedHost, keys, nic

QUIET = "Network health within normal bounds."
UP_AGAIN = f"{QUIET} Recovered: eth0 link after "


def details(host, *checks):
    """The details of each check, for one tuple of interfaces each."""
    return [host.check(*seen).details for seen in checks]


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
    """The flag or the operational state decides; unknown is not down, nor is a new link of that name."""
    host = CheckedHost()
    assert host.check(nic(**before)).details == QUIET
    report = host.check(nic(**after))
    assert report.details == ("eth0 is down" if is_down else QUIET)
    assert report.severity == ("WARNING" if is_down else "INFO")


def test_a_link_that_goes_down_is_reported_once_and_so_is_its_return():
    """With report_on "change" there are two reports, however long it is down."""
    host = CheckedHost(report_on="change")
    reports = [host.check(nic(up=up)) for up in (True, False, False, False, True, True)]
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
    """A link that is down is the likely cause of the other findings, so it is named before them."""
    host = CheckedHost(conn_threshold=1)
    host.check(nic())
    assert host.check(nic(up=False), connections=2).details == "eth0 is down; High connection count: 2 > 1"


def test_links_are_not_reported_when_the_setting_is_off():
    """Turning it off ends an active alert; when it is turned on again, the link's history still counts."""
    host = CheckedHost(link_down_alerts=False)
    assert details(host, [nic()], [nic(up=False)]) == [QUIET, QUIET]
    host.change(link_down_alerts=True)
    assert host.check(nic(up=False)).details == "eth0 is down"
    host.change(link_down_alerts=False)
    assert host.check(nic(up=False)).details == f"{QUIET} Ended: eth0 link after 30 s (settings changed)."


def test_a_link_that_is_gone_is_not_reported_when_the_setting_is_off():
    """The setting ends the alert; when it is turned on again, links that vanished before are not reported."""
    host = CheckedHost()
    assert details(host, [nic(kind="", index=2)], []) == [QUIET, "eth0 is gone"]
    host.change(link_down_alerts=False)
    assert host.check().details == f"{QUIET} Ended: eth0 link after 30 s (settings changed)."
    host.change()
    assert host.check().details == QUIET


def test_a_removed_link_is_not_down():
    """A virtual link may go; if it was reported as down, that alert ends without a recovery."""
    host = CheckedHost()
    assert details(host, [nic(kind="veth")], []) == [QUIET, QUIET]
    assert details(host, [nic(kind="veth")], [nic(kind="veth", up=False)], []) == [
        QUIET,
        "eth0 is down",
        f"{QUIET} Ended: eth0 link after 30 s (eth0 is gone).",
    ]


def test_a_link_that_gets_another_name_is_still_down():
    """Also if another link takes its name; the alert of the old name has an end of its own."""
    host, eth0 = CheckedHost(), {"kind": "", "index": 2}
    assert details(host, [nic(**eth0)], [nic(up=False, **eth0)], [nic("wan0", up=False, **eth0)]) == [
        QUIET,
        "eth0 is down",
        "wan0 is down",
    ]
    other = nic("wan0", kind="", index=3)
    assert details(host, [nic(up=False, **eth0), other]) == ["eth0 is down"]


def test_a_link_created_again_while_down_keeps_its_alert():
    """The alert recovers when the link is up, not when it is created."""
    host = CheckedHost()
    before, new = {"kind": "tun", "index": 4}, {"kind": "tun", "index": 5}
    assert details(
        host, [nic(**before)], [nic(up=False, **before)], [nic(up=False, **new)], [nic(**new)]
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
def test_a_physical_link_that_vanished_is_reported(name, link, later, text):
    """Virtual links and links of unknown kind come and go; a renamed one still exists."""
    host = CheckedHost()
    host.check(nic(name, **link))
    assert host.check(*later).details == text


def test_a_link_is_gone_until_it_returns():
    """A link is gone until it returns or is excluded; if it returns down, it has not recovered yet."""
    host, eth0 = CheckedHost(), {"kind": "", "index": 2}
    assert details(
        host, [nic(**eth0)], [], [], [nic(up=False, kind="", index=7)], [nic(kind="", index=7)]
    ) == [QUIET, "eth0 is gone", "eth0 is gone", "eth0 is down", f"{UP_AGAIN}1 min 30 s."]
    host.check()
    host.change(exclude_interfaces=["eth0"])
    assert details(host, [], []) == [f"{QUIET} Ended: eth0 link after 30 s (settings changed).", QUIET]


def test_a_reading_without_kinds_keeps_the_known_kind():
    """If the kernel's reader fails for one check, a physical link is still known as physical."""
    host = CheckedHost()
    assert details(host, [nic(kind="", index=2)], [nic(kind=None, index=2)], []) == [
        QUIET,
        QUIET,
        "eth0 is gone",
    ]


def test_a_failed_check_makes_no_link_vanish():
    """Without a reading no link is known to be missing."""
    host = CheckedHost()
    host.check(nic(kind="", index=2))
    assert host.check(failed=["interfaces"]).status == "check_failed"
    assert host.check(nic(kind="", index=2)).details == QUIET


def test_of_very_many_vanished_links_the_latest_are_reported():
    """Physical links that come and go without end fill neither memory nor report."""
    host = CheckedHost()
    for number in range(MAX_GONE + 10):
        host.check(nic(f"vf{number}", kind="", index=number))
    report = host.check()
    assert len(report.metrics["alerts"]) == MAX_GONE
    assert keys(report.metrics["alerts"])[-1] == ("link", f"vf{MAX_GONE + 9}")


def flaps(host, *checks, after_s=30.0):
    """The details of each check, for (carrier changes so far, up) each."""
    seen = [nic(carrier_changes=changes, up=up, index=3) for changes, up in checks]
    return [host.check(link, after_s=after_s).details for link in seen]


def test_a_link_that_went_down_and_up_once_is_not_flapping():
    """Two carrier changes are no flapping, whether a check saw the link down or not."""
    assert flaps(CheckedHost(), (4, True), (6, True), (6, True)) == [QUIET, QUIET, QUIET]
    assert flaps(CheckedHost(), (4, True), (5, False), (6, True)) == [
        QUIET,
        "eth0 is down",
        f"{UP_AGAIN}30 s.",
    ]


def test_flapping_is_one_finding_until_two_quiet_minutes():
    """There is one alert and one recovery, whether the link is up or down at a check."""
    host = CheckedHost(report_on="change")
    seen = (4, True), (11, True), (13, False), (14, True), (14, True), (14, True), (14, True), (14, True)
    assert flaps(host, *seen) == [
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
    """With report_on "change" there is one for the first report, one for the flapping, one for its end."""
    host = CheckedHost(report_on="change")
    counts = [4, *range(7, 60, 3), *[60] * 10]
    due = [host.check(nic(carrier_changes=c, up=c % 2 == 0, index=3)).due for c in counts]
    assert sum(due) == 3
    assert due[:2] == [True, True]


def test_a_slow_flapper_is_found_as_well():
    """Down, up, down within two minutes is flapping; until then, down and up are reported."""
    assert flaps(CheckedHost(), (4, True), (5, False), (6, True), (7, False), (7, False)) == [
        QUIET,
        "eth0 is down",
        f"{UP_AGAIN}30 s.",
        "eth0 is flapping: 3 carrier changes in 1 min 30 s",
        "eth0 is flapping: 3 carrier changes in 2 min",
    ]


def test_two_minutes_allow_for_some_jitter():
    """Checks that are scheduled a minute apart are slightly more than that apart."""
    assert flaps(CheckedHost(), (4, True), (6, True), (7, False), after_s=60.2)[-1] == (
        "eth0 is flapping: 3 carrier changes in 2 min"
    )


def test_three_changes_in_more_than_two_minutes_are_not_flapping():
    """One change every 91 s is no flapping."""
    assert flaps(CheckedHost(), (4, True), (6, True), (8, True), (10, True), after_s=91) == [QUIET] * 4


@pytest.mark.parametrize(("changes", "is_flapping"), [(60, False), (61, True)])
def test_checks_an_hour_apart_need_more_than_two_changes_per_two_minutes(changes, is_flapping):
    """Only then some two minutes must have had more than two changes."""
    _, text = flaps(CheckedHost(), (4, True), (4 + changes, True), after_s=3600)
    assert text == (f"eth0 is flapping: {changes} carrier changes in 1 h" if is_flapping else QUIET)


def test_a_link_that_flapped_down_is_down():
    """One alert stays active; it changes its aspect and is reported again."""
    host = CheckedHost(report_on="change")
    links = [nic(carrier_changes=c, up=c % 2 == 0, index=3) for c in (4, 7, 7, 7, 7, 7)]
    reports = [host.check(link) for link in links]
    assert [(r.details, r.due) for r in reports[3:]] == [
        ("eth0 is flapping: 3 carrier changes in 1 min 30 s", False),
        ("eth0 is flapping: 3 carrier changes in 2 min", False),
        ("eth0 is down", True),
    ]
    assert not any("recovered" in r.metrics for r in reports)


def test_another_link_under_the_name_does_not_flap():
    """A changed index, or a counter that went back, restarts the count."""
    host = CheckedHost()
    flap = "eth0 is flapping: 5 carrier changes in 30 s"
    assert flaps(host, (4, True), (9, True), (2, True)) == [QUIET, flap, f"{UP_AGAIN}30 s."]
    assert host.check(nic(carrier_changes=900, index=8)).details == QUIET


def test_without_the_counter_there_is_no_flapping():
    """psutil has no such counter; the kernel's counts before and after such a check still hold."""
    host = CheckedHost()
    assert (
        details(host, [nic(index=3, carrier_changes=4)], [nic(index=3)], [nic(index=3, carrier_changes=9)])
        == [QUIET] * 3
    )
    assert (
        host.check(nic(index=3, carrier_changes=12)).details == "eth0 is flapping: 3 carrier changes in 30 s"
    )


def test_a_bridge_comes_and_goes_with_its_ports():
    """A bridge that goes up and down with its ports has no findings."""
    host = CheckedHost()
    seen = [[nic("docker0", kind="bridge", index=5, up=n % 2 == 0, carrier_changes=n * 3)] for n in range(6)]
    assert set(details(host, *seen)) == {QUIET}


def test_down_must_last_as_other_findings_must():
    """``alert_after_checks`` holds for links; a link that was down for fewer checks is not reported."""
    host = CheckedHost(alert_after_checks=2)
    ups = (True, False, True, False, False, True)
    assert details(host, *[[nic(up=up)] for up in ups]) == [*[QUIET] * 4, "eth0 is down", f"{UP_AGAIN}1 min."]


def veths(count, *, up=True, kind="veth", name="veth"):
    """So many links of one kind."""
    return [nic(f"{name}{n}", up=up, kind=kind, index=n + len(kind) * 1000) for n in range(1, count + 1)]


def test_many_links_that_go_down_are_one_sentence():
    """The sentence names three, in details and in the log; the metrics have an alert for each."""
    host = CheckedHost()
    host.check(*veths(60))
    report = host.check(*veths(60, up=False))
    sentence = "60 veth links are down: veth1, veth2, veth3 (57 more)"
    assert (report.details, report.changes) == (sentence, (f"WARNING: {sentence}",))
    assert keys(report.metrics["alerts"]) == [("link", f"veth{n}") for n in range(1, 61)]


def test_three_links_have_a_sentence_each():
    """A sentence is shared by more than three links of one kind and state."""
    host = CheckedHost()
    physical = veths(4, kind="", name="eth")
    host.check(*veths(3), *physical, *veths(5, kind="tun", name="tun"))
    report = host.check(*veths(3, up=False), *veths(4, up=False, kind="tun", name="tun"))
    assert report.details == (
        "veth1 is down; veth2 is down; veth3 is down; "
        "4 tun links are down: tun1, tun2, tun3 (1 more); "
        "4 physical links are gone: eth1, eth2, eth3 (1 more)"
    )


def test_many_links_that_flap_are_one_sentence():
    """The same holds while they flap, afterwards, and in a check that cannot see them."""
    host = CheckedHost()

    def flapping(changes):
        return [nic(f"veth{n}", kind="veth", index=n, carrier_changes=changes) for n in range(1, 7)]

    assert details(host, flapping(1), flapping(4), flapping(4)) == [
        QUIET,
        "6 veth links are flapping: veth1, veth2, veth3 (3 more)",
        "6 veth links are flapping: veth1, veth2, veth3 (3 more)",
    ]
    assert host.check(failed=["interfaces"]).details == (
        "6 veth links are flapping: veth1, veth2, veth3 (3 more) (last known)"
    )
    assert host.check(*flapping(4), after_s=40).details == (
        "6 veth links were flapping: veth1, veth2, veth3 (3 more)"
    )


def test_many_links_that_recover_are_one_sentence():
    """So are those that are removed; their durations are a range if they differ."""
    host = CheckedHost()
    host.check(*veths(9))
    host.check(*veths(4, up=False), *veths(9)[4:])
    host.check(*veths(9, up=False))
    report = host.check(*veths(5))
    assert report.details == (
        f"{QUIET} Recovered: 5 veth links (veth1, veth2, veth3, 2 more) after 30 s to 1 min. "
        "Ended: 4 veth links (veth6, veth7, veth8, 1 more) after 30 s (they are gone)."
    )
    assert report.changes == tuple(report.details.removeprefix(f"{QUIET} ").removesuffix(".").split(". "))
    assert keys(report.metrics["recovered"]) == [("link", f"veth{n}") for n in range(1, 6)]
