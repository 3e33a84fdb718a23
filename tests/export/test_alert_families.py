"""The active alerts in Prometheus' format: value and limit in base units, and the culprit's port."""

import re
from dataclasses import replace

import pytest

from network_health.alerting import Alert
from network_health.attribution.evidence import clause
from network_health.collectors import observe_namespaces
from network_health.export.alert_families import MAX_ALERTS, culprit_port, in_base_unit, unit
from network_health.export.metric_families import exposition
from network_health.model import Finding, Namespace, Namespaces
from network_health.reporting import redacted
from tests.checked_host import CheckedHost, nic
from tests.export.test_metric_families import samples
from tests.reporting.test_report import REPORTS
from tests.tree import DOCS


def finding(check, value=50, limit=20, subject="host", **more):
    return Finding(check, subject, "", value, limit, **more)


def test_each_active_alert_has_its_samples():
    """State, value, limit and start of each alert, in base units; they are gone when it is resolved."""
    found = samples(exposition(REPORTS["breached"]))
    of_alerts = {key: value for key, value in found.items() if key[0].startswith("alert")}
    want = {("alerts_left_out",): 0}
    for check, subject, of_value, value, limit in (
        ("tx_rate", "eth0", "bytes_per_second", 251.3e6 / 8, 250e6 / 8),
        ("packet_errors", "eth0", "packets", 3, 0),
        ("connections", "host", "sockets", 2001, 2000),
        ("retransmits", "host", "ratio", 0.05, 0.02),
    ):
        key = (("check", check), ("subject", subject))
        want[("alert", key[0], ("severity", "warning"), key[1])] = 1
        want[("alert_value", *key, ("unit", of_value))] = value
        want[("alert_limit", *key, ("unit", of_value))] = limit
        want[("alert_start_timestamp_seconds", *key)] = REPORTS["breached"].timestamp
    assert of_alerts == want
    healthy = samples(exposition(REPORTS["healthy"]))
    assert [key for key in healthy if key[0].startswith("alert")] == [("alerts_left_out",)]


def test_the_subject_of_a_namespace_is_that_of_its_sentence():
    """The only label with a process: that of a namespace that has no name of its own."""
    own = Namespace(1, 4321, "python", tcp=7, udp=0)
    entries = [own, Namespace(2, 4322, "nginx", container="web", tcp=6, udp=0)]
    namespaces = observe_namespaces(Namespaces(tuple(entries)), ())
    report = CheckedHost(container_conn_threshold=5).check(nic(), namespaces=namespaces)
    assert {dict(key[1:])["subject"] for key in samples(exposition(report)) if key[0] == "alert_value"} == {
        "namespace of python[4321]",
        "container web",
    }


@pytest.mark.parametrize(
    ("found", "converted"),
    [
        (finding("rx_rate", 8, 4), (1e6, 5e5, "bytes_per_second")),
        (finding("peer_retransmits", 12.34, 5), (0.1234, 0.05, "ratio")),
        (finding("tcp_memory", 110, 90), (1.1, 0.9, "ratio")),
        (finding("packet_errors", 2.5, 1), (0.025, 0.01, "ratio")),
        (finding("packet_errors", 3, 0), (3, 0, "packets")),
        (finding("softnet_dropped", 12.5, 1), (12.5, 1, "per_second")),
        (finding("namespace_connections", 700, 500), (700, 500, "sockets")),
        (finding("link", 6, 5, aspect="flapping"), (6, 5, "changes")),
        (finding("link", 1, 0, aspect="down"), (1, 0, "")),
        (finding("check of a later version", 1, 0), (1, 0, "")),
    ],
)
def test_values_are_in_base_units(found, converted):
    """Megabits become bytes, percent becomes a ratio; counts stay what they are."""
    got = (in_base_unit(found, found.value), in_base_unit(found, found.limit), unit(found))
    assert got == pytest.approx(converted)


def test_every_check_but_the_link_has_a_unit():
    """Those that the page of the report names."""
    (listed,) = re.findall(
        r"^\| `alerts\[\].check` .*$", (DOCS / "report-format.md").read_text(), re.MULTILINE
    )
    checks = set(re.findall(r"`(\w+)`", listed)) - {"link"}
    assert len(checks) == 19
    assert "" not in {unit(finding(check)) for check in checks}


RATE = {"iface": "eth0", "processes": [{"peers": [{"address": "10.0.0.9", "port": 873}]}, {"peers": []}]}


@pytest.mark.parametrize(
    ("check", "evidence", "named", "port"),
    [
        ("connections", {"ports": [{"port": 8123}]}, "84% on :8123 owned by app[77]", ("local", 8123)),
        ("connections", {"ports": [{"port": 81}]}, "84% on :8123 owned by app[77]", None),
        ("connections", {"ports": [{"port": 8123}]}, "84% owned by app[77]", None),
        (
            "connections",
            {"ports": [{"port": 22}], "endpoints": [{"address": "10.0.0.9", "port": 443}]},
            "84% to 10.0.0.9:443",
            ("remote", 443),
        ),
        (
            "namespace_connections",
            [{"namespace": "other", "ports": [{"port": 1}]}, {"namespace": "eth0", "ports": [{"port": 2}]}],
            "84% on :2",
            ("local", 2),
        ),
        ("tx_rate", [RATE | {"iface": "eth1"}, RATE], "84% by app[77] to 10.0.0.9:873", ("remote", 873)),
        ("tx_rate", [RATE | {"iface": "eth1"}], "84% by app[77] to 10.0.0.9:873", None),
        ("tx_rate", [RATE], "84% by app[77] to 5 peers", None),
        ("tx_rate", [{"iface": "eth0", "processes": []}], "90% is not TCP", None),
        ("retransmits", {"peers": [{"half_open_port": 80}]}, "84% SYN-ACKs on :80", ("local", 80)),
        ("peer_retransmits", {"peers": [{"port": 873}]}, "84% to [fd00::1]:873", ("remote", 873)),
        ("syn_cookies", {"listeners": [{"port": 80}]}, "84% on :80", ("local", 80)),
        ("udp_receive", {"sockets": [{"port": 53}]}, "84% on :53", ("local", 53)),
        (
            "udp_send",
            {"sockets": [{"port": 40000, "remote": "10.0.0.9", "remote_port": 514}]},
            "to 10.0.0.9:514",
            ("remote", 514),
        ),
        ("packet_errors", [{"iface": "eth0", "kinds": {"rx_crc": 5}}], "5 rx_crc", None),
        ("conntrack", {"sources": [{"address": "10.0.0.9"}]}, "84% from 10.0.0.9", None),
    ],
)
def test_a_port_is_that_of_the_sentence(check, evidence, named, port):
    """With its side; none if the sentence names none, or if the evidence is about another interface."""
    found = finding(check, subject="eth0", culprit=clause([named]))
    assert culprit_port(found, {check: evidence}) == port


def test_the_port_of_the_busiest_remote_endpoint():
    """The sentence about ephemeral ports names it without a clause."""
    found = Finding(
        "ephemeral_ports", "host", "Ephemeral ports from 10.0.0.5 to 10.0.0.9:443 84% > 50%", 84, 50
    )
    assert culprit_port(found, {"ephemeral_ports": {"remote_port": 443}}) == ("remote", 443)
    assert culprit_port(found, {}) is None


NAMED = {
    ("tx_rate", "remote"): 873,
    ("connections", "local"): 8080,
    ("listen_overflows", "local"): 8080,
    ("ephemeral_ports", "remote"): 5432,
}


def test_ports_of_a_real_report():
    """What the report with culprits names, with and without masked addresses; no address is exported."""
    report = REPORTS["culprits"]
    for each in (report, redacted(report, {"addresses"})):
        exposed = exposition(each).decode()
        named = {key[1:]: value for key, value in samples(exposed).items() if key[0] == "alert_culprit_port"}
        assert {(dict(key)["check"], dict(key)["side"]): int(value) for key, value in named.items()} == NAMED
        assert "10.0.0" not in exposed


def test_an_alert_that_could_not_be_measured_has_no_value():
    """Its last value is not that of this check; the limit is known."""
    alert = Alert(finding("tx_rate", subject="eth0"), 1.0, 1.0, active=True, state="unknown")
    found = samples(exposition(replace(REPORTS["healthy"], alerts=(alert,))))
    names = {key[0] for key in found if key[0].startswith("alert")}
    assert names == {"alert", "alert_limit", "alert_start_timestamp_seconds", "alerts_left_out"}


def test_masked_subjects_that_are_equal_are_one_sample():
    """Prometheus takes no two samples with equal labels: the more severe alert stays."""
    first = Alert(finding("link", subject="10.0.0.1"), 1.0, 1.0, active=True)
    second = Alert(finding("link", subject="10.0.0.2"), 2.0, 2.0, active=True, severity="CRITICAL")
    report = redacted(replace(REPORTS["healthy"], alerts=(first, second)), {"addresses"})
    found = samples(exposition(report))
    key = ("alert", ("check", "link"), ("severity", "critical"), ("subject", "<address>"))
    assert {name: value for name, value in found.items() if name[0] == "alert"} == {key: 1}
    assert found[("alerts_left_out",)] == 1


def test_alerts_above_the_maximum_are_left_out_and_counted():
    """CRITICAL ones stay, then the oldest: the number of series has a bound."""
    alerts = [
        Alert(finding("link", subject=f"veth{n}", aspect="down"), 1000.0 + n, float(n), active=True)
        for n in range(MAX_ALERTS + 5)
    ]
    alerts[-1] = replace(alerts[-1], severity="CRITICAL")
    found = samples(exposition(replace(REPORTS["healthy"], alerts=tuple(alerts))))
    subjects = {dict(key[1:])["subject"] for key in found if key[0] == "alert"}
    assert subjects == {f"veth{n}" for n in range(MAX_ALERTS - 1)} | {f"veth{MAX_ALERTS + 4}"}
    assert found[("alerts_left_out",)] == 5
