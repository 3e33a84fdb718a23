"""Alerts and their culprits as the page shows them."""

import json

import pytest

from network_health.history import KeptAlert
from network_health.page.alerts import AlertView, Table, alert_view
from tests.tree import ROOT

CULPRITS = json.loads((ROOT / "tests/reporting/golden/culprits.json").read_text())["metrics"]["culprits"]


def kept(**changes):
    """An alert that was active for ten minutes."""
    values = {
        "check": "tx_rate",
        "subject": "eth0",
        "aspect": "",
        "begin": 1000.0,
        "end": 1600.0,
        "end_reason": "normal",
        "severity": "WARNING",
        "value": 120.5,
        "highest": 251.3,
        "limit": 100.0,
        "details": "eth0 outbound 251.3 Mbps > 100 Mbps",
        "culprits": None,
        "checks": 20,
    }
    return KeptAlert(**(values | changes))


def test_an_alert_is_shown_with_its_values():
    """Title, times, sentence and the values that were kept; nothing else."""
    assert alert_view(kept()) == AlertView(
        title="eth0 outbound rate",
        subject="eth0",
        severity="WARNING",
        begin=1000.0,
        end=1600.0,
        sentence="eth0 outbound 251.3 Mbps > 100 Mbps",
        values=(
            ("Value at the begin", "120.5"),
            ("Highest value", "251.3"),
            ("Limit", "100"),
            ("Checks above the limit", "20"),
            ("End", "back to normal"),
        ),
        culprits=(),
    )


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"check": "link", "aspect": "down"}, "eth0 down"),
        ({"check": "connections", "subject": "host"}, "Connection count"),
        ({"check": "listen_overflows", "subject": "host"}, "Listen overflows"),
        ({"subject": "\u202egnp"}, "?gnp outbound rate"),
    ],
)
def test_the_title_says_what_and_where(changes, title):
    """The host is not named; a mark that turns the direction of text is shown as a question mark."""
    assert alert_view(kept(**changes)).title == title


def test_an_active_alert_has_no_end():
    """Neither a time nor a reason."""
    view = alert_view(kept(end=None, end_reason=None))
    assert (view.end, dict(view.values).get("End")) == (None, None)


def test_culprits_become_tables():
    """One table for each list of the evidence, with the units that its names imply."""
    tables = alert_view(kept(culprits={"listen_overflows": CULPRITS["listen_overflows"]})).culprits
    assert tables == (
        Table(
            "listen overflows · listeners",
            ("address", "port", "waiting", "backlog", "refused", "pid", "name", "user", "unit", "percent"),
            (("0.0.0.0", "8080", "129", "128", "6852", "17", "nginx", "www-data", "nginx.service", "100 %"),),
        ),
    )


def test_nested_culprits_are_named_by_their_owner():
    """The peers of a process are in a table with the name of the process; bytes have a unit."""
    evidence = [
        {
            "iface": "eth0",
            "bytes": 942375000,
            "processes": [
                {"name": "rsync", "bytes": 913500000, "peers": [{"address": "10.0.0.9", "bytes": 999}]}
            ],
        }
    ]
    assert alert_view(kept(culprits=evidence)).culprits == (
        Table("", ("iface", "bytes"), (("eth0", "942.4 MB"),)),
        Table("eth0 · processes", ("name", "bytes"), (("rsync", "913.5 MB"),)),
        Table("eth0 · processes · rsync · peers", ("address", "bytes"), (("10.0.0.9", "999 bytes"),)),
    )


def test_culprits_are_bounded():
    """20 rows of a table and 24 tables; what is left out is counted."""
    many = {f"list {number}": [{"port": port} for port in range(50)] for number in range(40)}
    tables = alert_view(kept(culprits=many)).culprits
    assert (len(tables), {(len(table.rows), table.left_out) for table in tables}) == (24, {(20, 30)})


@pytest.mark.parametrize("culprits", [None, {}, [], 7, "text", [[[]]], {"a": {"b": None}}])
def test_evidence_of_an_unknown_form_is_left_out(culprits):
    """A file of another version may have other evidence: no table, and no error."""
    assert alert_view(kept(culprits=culprits)).culprits == ()
