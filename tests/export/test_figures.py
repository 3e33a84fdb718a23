"""A report as Prometheus reads it. ``python -m tests.export.test_figures`` writes the golden texts anew."""

import math
import subprocess
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.core import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from network_health import Monitor, Report, Settings
from network_health.export import metric_families
from network_health.export.metric_families import MOST_INTERFACES, ReportCollector, exposition
from network_health.model import Connections, Counters, Link, Share
from tests.reporting.test_report import ETH0, REPORTS, Host

GOLDEN = Path(__file__).parent / "golden"
TOLD = ("healthy", "breached", "blind")

#: What promtool says of a rate in bits, which operators of networks think in.
ABOUT_BITS = 'use base unit "bytes" instead of "bits"'


def text(name):
    """A golden report as text, of one version for ever."""
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
    """What the linter of Prometheus says of a text."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=exposed, capture_output=True, check=False, timeout=60
    )
    return (done.stdout + done.stderr).decode().splitlines()


@pytest.mark.parametrize("name", TOLD)
def test_the_whole_text_is_the_golden_one(name):
    """Every sample of a report that is healthy, that has everything to tell, that cannot see everything."""
    assert text(name) == (GOLDEN / f"{name}.prom").read_text()


@pytest.mark.parametrize("name", TOLD)
def test_promtool_has_nothing_to_say_but_of_bits(name):
    """The names and texts are what Prometheus' own linter wants, but for the unit of rates."""
    about = [line.split(" ", 1) for line in promtool(text(name).encode())]
    assert {why for _, why in about} == {ABOUT_BITS}
    assert all(metric.endswith("_bits_per_second") for metric, _ in about)


def test_base_units():
    """Bits, seconds and ratios of the very figures of the report."""
    metrics, found = REPORTS["breached"].metrics, samples(text("breached"))
    eth0 = ("interface", "eth0")
    assert found["interface_transmit_bits_per_second", eth0] == 251.3e6
    assert found["interface_speed_bits_per_second", eth0] == 1e9
    assert found["interface_drops_total", eth0] == metrics["interfaces"][1]["drops"] == 5
    assert found["tcp_retransmit_ratio",] == metrics["protocols"]["retransmit_percent"] / 100
    assert found["conntrack_used_ratio",] == 0.25
    assert found["check_interval_seconds",] == 30
    assert found["last_check_timestamp_seconds",] == REPORTS["breached"].timestamp


def test_what_stands_is_an_alert():
    """One sample an alert, which is gone when it is over."""
    alerts = {key[1:] for key in samples(text("breached")) if key[0] == "alert"}
    assert alerts == {
        (("check", alert["check"]), ("severity", alert["severity"]), ("subject", alert["subject"]))
        for alert in REPORTS["breached"].metrics["alerts"]
    }
    assert not [key for key in samples(text("healthy")) if key[0] == "alert"]


def test_what_is_not_known_has_no_sample():
    """No speed, no rate after a reset, nothing of a collector that failed: absent, and never 0."""
    found = samples(text("blind"))
    assert ("interface_speed_bits_per_second", ("interface", "lo")) not in found
    assert ("tcp_retransmit_ratio",) not in found
    assert found["collector_success", ("collector", "processes")] == 0
    assert found["collector_success", ("collector", "interfaces")] == 1
    assert found["settings_errors",] == 1
    report = REPORTS["breached"]
    links = [entry | {"counters_reset": True} for entry in report.metrics["interfaces"]]
    reset = samples(exposition(replace(report, metrics={**report.metrics, "interfaces": links})))
    assert not [key for key in reset if "bits_per_second" in key[0] and "speed" not in key[0]]
    bare = samples(exposition(Report("check_failed", "WARNING", "", {}, 1.0)))
    assert {key[0] for key in bare} == {
        "build_info",
        "last_check_timestamp_seconds",
        "settings_errors",
        "status",
    }


def test_nothing_of_a_process_a_peer_or_a_user():
    """Neither pids, names, addresses nor users, which nobody could bound."""
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


def test_sockets_add_up():
    """Each known state has a sample, be it 0; the others are counted as one."""
    report = replace(
        REPORTS["healthy"], metrics={"by_status": {"LISTEN": 3, "NONE": 2, "IDLE": 4, "BOUND": 1}}
    )
    found = {
        key[1][1]: value for key, value in samples(exposition(report)).items() if key[0] == "connections"
    }
    assert len(found) == 13
    assert (found["LISTEN"], found["OTHER"], sum(found.values())) == (3, 5, 10)


def host_with(links):
    """A made-up host with these links."""
    host = Host()
    host.links = links
    return host


def check_of(readers, **config):
    """The report of one check."""
    return Monitor(Settings(**config), readers=[readers]).check()


def test_a_removed_interface_is_gone():
    """The collector has what the last report has."""
    collector, registry = ReportCollector(), CollectorRegistry()
    registry.register(collector)
    assert list(registry.collect()) == []
    for name in ("breached", "blind"):
        collector.show(REPORTS[name])
        names = {s.labels.get("interface") for family in registry.collect() for s in family.samples}
        assert ("eth0" in names) is (name == "breached")


def test_interfaces_past_the_most_are_left_out_and_counted():
    """Those with an alert stay, then physical ones, then the oldest; how many are not shown is told."""
    many = [Link(f"veth{n}", True, 10 + n, kind="veth", counters=Counters()) for n in range(MOST_INTERFACES)]
    loud = replace(many.pop(), name="loud", counters=Counters(rx_errors=7))
    links = (*many, loud, replace(ETH0, index=5000), replace(ETH0, name="eth1", index=5001))
    found = samples(exposition(check_of(host_with(links).readers())))
    shown = {key[1][1] for key in found if key[0] == "interface_up"}
    assert len(shown) == MOST_INTERFACES
    assert found["interfaces_left_out",] == 2
    assert shown == {"loud", "eth0", "eth1"} | {f"veth{n}" for n in range(MOST_INTERFACES - 3)}


def test_excluded_interfaces_are_not_shown():
    """Nor counted as left out."""
    found = samples(exposition(check_of(host_with((ETH0,)).readers(), exclude_interfaces=("eth*",))))
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
def test_any_report_is_read_back(readers, limit):
    """Whatever the kernel calls its interfaces: the text parses, no sample twice, the figures those told."""
    report = check_of(readers, conn_threshold=limit)
    found = samples(exposition(report, 30))
    assert not [value for value in found.values() if math.isnan(value)]
    for entry in {entry["iface"]: entry for entry in report.metrics.get("interfaces", ())}.values():
        assert found["interface_drops_total", ("interface", entry["iface"])] == float(entry["drops"])
        assert found["interface_up", ("interface", entry["iface"])] == entry["up"]
    sockets = [value for key, value in found.items() if key[0] == "connections"]
    assert math.isclose(sum(sockets), report.metrics["total_connections"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=15)
@given(READERS)
def test_any_report_is_read_by_prometheus(readers):
    """By its own parser, in promtool."""
    lines = promtool(exposition(check_of(readers)))
    assert {line.split(" ", 1)[1] for line in lines} <= {ABOUT_BITS}


def test_a_report_without_a_distribution_is_shown(monkeypatch):
    """Run from a folder that was never installed, the version is not known."""
    monkeypatch.setattr(
        metric_families, "version", lambda _: (_ for _ in ()).throw(metric_families.PackageNotFoundError)
    )
    metric_families._version.cache_clear()
    try:
        assert ("build_info", ("version", "unknown")) in samples(exposition(REPORTS["healthy"]))
    finally:
        metric_families._version.cache_clear()


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in TOLD:
        (GOLDEN / f"{each}.prom").write_text(text(each))
