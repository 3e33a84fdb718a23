"""A report in Prometheus' format. ``python -m tests.export.test_metric_families`` writes the golden texts."""

import math
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from network_health import Monitor, Report, Settings
from network_health.export import metric_families
from network_health.export.metric_families import MAX_INTERFACES, exposition
from network_health.model import Connections, Counters, Link, Protocols, Share
from tests.examples import examples
from tests.reporting.test_report import ETH0, REPORTS, Host

GOLDEN = Path(__file__).parent / "golden"
REPORT_NAMES = ("healthy", "breached", "blind")

#: promtool's warning about rates in bits, which are the usual unit of networks.
BITS_WARNING = 'use base unit "bytes" instead of "bits"'


def text(name):
    """A golden report as text, with a fixed version."""
    with patch.object(metric_families, "_version", lambda: "1.2.3"):
        return exposition(REPORTS[name], 30).decode()


def samples(exposed):
    """The samples of a text: value by name and labels."""
    families = text_string_to_metric_families(exposed.decode() if isinstance(exposed, bytes) else exposed)
    found = [sample for family in families for sample in family.samples]
    by_key = {(s.name.removeprefix("network_health_"), *sorted(s.labels.items())): s.value for s in found}
    assert len(by_key) == len(found), "no two samples have one name and the same labels"
    return by_key


def promtool(exposed):
    """The output of Prometheus' linter."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=exposed, capture_output=True, check=False, timeout=60
    )
    return (done.stdout + done.stderr).decode().splitlines()


@pytest.mark.parametrize("name", REPORT_NAMES)
def test_the_text_equals_the_golden_file(name):
    """Every sample of a healthy report, of one with findings, and of one with a failed collector."""
    assert text(name) == (GOLDEN / f"{name}.prom").read_text()


@pytest.mark.parametrize("name", REPORT_NAMES)
def test_promtool_warns_only_about_bits(name):
    """Prometheus' linter accepts all names and help texts, except for the unit of rates."""
    warnings = [line.split(" ", 1) for line in promtool(text(name).encode())]
    assert {warning for _, warning in warnings} == {BITS_WARNING}
    assert all(metric.endswith("_bits_per_second") for metric, _ in warnings)


def test_base_units():
    """Values are the report's, converted to bits, seconds and ratios."""
    metrics, found = REPORTS["breached"].metrics, samples(text("breached"))
    eth0 = ("interface", "eth0")
    assert found["interface_transmit_bits_per_second", eth0] == 251.3e6
    assert found["interface_speed_bits_per_second", eth0] == 1e9
    assert found["interface_drops_total", eth0] == metrics["interfaces"][1]["drops"] == 5
    assert found["tcp_retransmit_ratio",] == metrics["protocols"]["retransmit_percent"] / 100
    assert found["conntrack_used_ratio",] == 0.25
    assert found["check_interval_seconds",] == 30
    assert found["last_check_timestamp_seconds",] == REPORTS["breached"].timestamp


def test_a_known_peak_is_a_sample():
    """In bits, for each direction; an unknown one is absent."""
    report = REPORTS["breached"]
    links = [entry | {"tx_peak_mbps": 999.33} for entry in report.metrics["interfaces"][1:]]
    found = samples(exposition(replace(report, metrics={**report.metrics, "interfaces": links})))
    peaks = {key: value for key, value in found.items() if "peak" in key[0]}
    assert peaks == {("interface_transmit_peak_bits_per_second", ("interface", "eth0")): 999.33e6}


def test_each_active_alert_is_a_sample():
    """One sample for each alert; it is gone when the alert is resolved."""
    alerts = {key[1:] for key in samples(text("breached")) if key[0] == "alert"}
    assert alerts == {
        (("check", alert["check"]), ("severity", alert["severity"]), ("subject", alert["subject"]))
        for alert in REPORTS["breached"].metrics["alerts"]
    }
    assert not [key for key in samples(text("healthy")) if key[0] == "alert"]


def test_an_unknown_value_has_no_sample():
    """An unknown speed, a rate after a reset and the metrics of a failed collector are absent, not 0."""
    found = samples(text("blind"))
    assert ("interface_speed_bits_per_second", ("interface", "lo")) not in found
    assert ("tcp_retransmit_ratio",) not in found
    assert found["collector_success", ("collector", "processes")] == 0
    assert found["collector_success", ("collector", "interfaces")] == 1
    assert found["settings_errors",] == 1
    report = REPORTS["breached"]
    unknown = {"unknown": ["tx_rate_mbps", "drops"]}
    links = [entry | unknown for entry in report.metrics["interfaces"]]
    found = samples(exposition(report))
    kept = samples(exposition(replace(report, metrics={**report.metrics, "interfaces": links})))
    assert {key[0] for key in found.keys() - kept.keys()} == {
        "interface_transmit_bits_per_second",
        "interface_drops_total",
    }
    bare = samples(exposition(Report("check_failed", "WARNING", "", {}, 1.0)))
    assert {key[0] for key in bare} == {
        "build_info",
        "last_check_timestamp_seconds",
        "settings_errors",
        "status",
    }


def test_no_process_address_or_user_is_exported():
    """Pids, names, addresses and users appear nowhere: their number has no bound."""
    exposed = text("breached")
    metrics = REPORTS["breached"].metrics
    for process in metrics["top_procs"]:
        for key in ("name", "user"):
            assert process[key] not in exposed
        assert f'"{process["pid"]}"' not in exposed
    for entry in metrics["interfaces"]:
        assert not [address for address in entry["ip"] + entry["ip6"] if address in exposed]
    labels = {name for key in samples(exposed) for name, _ in key[1:]}
    assert labels == {"check", "collector", "interface", "severity", "state", "status", "subject", "version"}


def test_states_add_up():
    """Each known state has a sample, even if it is 0; all other states are one sample."""
    report = replace(
        REPORTS["healthy"], metrics={"by_status": {"LISTEN": 3, "NONE": 2, "IDLE": 4, "BOUND": 1}}
    )
    found = {
        key[1][1]: value for key, value in samples(exposition(report)).items() if key[0] == "connections"
    }
    assert len(found) == 13
    assert (found["LISTEN"], found["OTHER"], sum(found.values())) == (3, 5, 10)


def host_with(links):
    """A simulated host with these links."""
    host = Host()
    host.links = links
    return host


def report_of(readers, **config):
    """The report of one check."""
    return Monitor(Settings(**config), readers=[readers]).check()


def test_a_removed_interface_is_gone():
    """Only interfaces of the report have samples."""
    for name in ("breached", "blind"):
        interfaces = {
            value for key in samples(text(name)) for label, value in key[1:] if label == "interface"
        }
        assert ("eth0" in interfaces) is (name == "breached")


def test_interfaces_above_the_maximum_are_left_out_and_counted():
    """Those with an alert stay, then physical ones, then the oldest; the rest is counted."""
    many = [Link(f"veth{n}", True, 10 + n, kind="veth", counters=Counters()) for n in range(MAX_INTERFACES)]
    loud = replace(many.pop(), name="loud", counters=Counters(rx_errors=7))
    links = (*many, loud, replace(ETH0, index=5000), replace(ETH0, name="eth1", index=5001))
    found = samples(exposition(report_of(host_with(links).readers())))
    shown = {key[1][1] for key in found if key[0] == "interface_up"}
    assert len(shown) == MAX_INTERFACES
    assert found["interfaces_left_out",] == 2
    assert shown == {"loud", "eth0", "eth1"} | {f"veth{n}" for n in range(MAX_INTERFACES - 3)}


def test_excluded_interfaces_are_not_shown():
    """Excluded interfaces have no samples and do not count as left out."""
    found = samples(exposition(report_of(host_with((ETH0,)).readers(), exclude_interfaces=("eth*",))))
    assert not [key for key in found if key[0].startswith("interface_")]
    assert found["interfaces_left_out",] == 0


NAMES = st.binary(min_size=1, max_size=15).map(
    lambda b: b.replace(b"\0", b"").decode("utf-8", "surrogateescape")
)
COUNTS = st.integers(0, 2**64)
LINKS = st.builds(
    Link,
    name=NAMES | st.sampled_from(["eth0", "\\xff", "\udcff", 'a"b', "a\\nb", "a\nb", "ü", "{}"]),
    up=st.booleans(),
    index=st.integers(1, 9),
    speed_mbps=st.none() | st.integers(0, 400_000),
    counters=st.none() | st.builds(Counters, *[COUNTS] * 8),
    mtu=st.none() | st.integers(0, 2**32),
    kind=st.none() | st.just("veth"),
    carrier_changes=st.none() | COUNTS,
)
READERS = st.builds(
    lambda links, states, used: replace(
        host_with(tuple(links)).readers(),
        connections=lambda: Connections(states),
        protocols=lambda with_ports: replace(
            Host().readers().protocols(with_ports), conntrack=Share(used, 7)
        ),
    ),
    st.lists(LINKS, max_size=6),
    st.dictionaries(st.sampled_from(["LISTEN", "NONE", "BOUND", "DELETE"]) | st.text(), COUNTS, max_size=4),
    st.integers(0, 10**9),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(READERS, st.integers(0, 10))
def test_any_report_can_be_parsed(readers, limit):
    """For any interface name the text parses, has no sample twice, and has the report's values."""
    report = report_of(readers, conn_threshold=limit)
    found = samples(exposition(report, 30))
    assert not [value for value in found.values() if math.isnan(value)]
    for entry in {entry["iface"]: entry for entry in report.metrics.get("interfaces", ())}.values():
        drops = None if "unknown" in entry and "drops" in entry["unknown"] else float(entry["drops"])
        assert found.get(("interface_drops_total", ("interface", entry["iface"]))) == drops
        assert found["interface_up", ("interface", entry["iface"])] == entry["up"]
    sockets = [value for key, value in found.items() if key[0] == "connections"]
    assert math.isclose(sum(sockets), report.metrics["total_connections"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=examples(15))
@given(READERS)
def test_promtool_accepts_any_report(readers):
    """promtool parses the text of any report."""
    lines = promtool(exposition(report_of(readers)))
    assert {line.split(" ", 1)[1] for line in lines} <= {BITS_WARNING}


def test_without_an_installed_distribution_the_version_is_unknown(monkeypatch):
    """When run from a source folder, the label is ``unknown``."""
    monkeypatch.setattr(
        metric_families, "version", lambda _: (_ for _ in ()).throw(metric_families.PackageNotFoundError)
    )
    metric_families._version.cache_clear()
    try:
        assert ("build_info", ("version", "unknown")) in samples(exposition(REPORTS["healthy"]))
    finally:
        metric_families._version.cache_clear()


def test_every_protocol_rate_and_share_is_exported():
    """No metric of ``metrics.protocols`` is left out."""
    names = {field.name for field in fields(Protocols)}
    rates = {name for name in names if name.endswith("_per_sec")}
    rest = {name for name in names if "_per" not in name and not name.endswith("_by_cpu")}
    rest -= {"window_s", "ip"}
    shares = {name.replace("busiest_ports", "ephemeral_ports") for name in rest}
    assert (set(metric_families._RATES), set(metric_families._SHARES)) == (rates, shares)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in REPORT_NAMES:
        (GOLDEN / f"{each}.prom").write_text(text(each))
