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
from network_health.export.interface_families import MAX_INTERFACES
from network_health.export.metric_families import exposition
from network_health.model import Connections, Counters, Link, Protocols, Share
from tests.examples import examples
from tests.reporting.test_report import ETH0, REPORTS, Host

GOLDEN = Path(__file__).parent / "golden"
REPORT_NAMES = ("healthy", "breached", "blind")

LINK_FIELDS = {field.name for field in fields(Link)}


def text(name):
    """A golden report as text, with a fixed version."""
    with patch.object(metric_families, "__version__", "1.2.3"):
        return exposition(REPORTS[name], 30).decode()


def samples(exposed):
    """The samples of a text: value by name and labels."""
    families = text_string_to_metric_families(exposed.decode() if isinstance(exposed, bytes) else exposed)
    found = [sample for family in families for sample in family.samples]
    by_key = {(s.name.removeprefix("network_health_"), *sorted(s.labels.items())): s.value for s in found}
    assert len(by_key) == len(found), "no two samples have one name and the same labels"
    return by_key


def promtool(exposed):
    """Exit status and output of Prometheus' linter."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=exposed, capture_output=True, check=False, timeout=60
    )
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("name", REPORT_NAMES)
def test_the_text_equals_the_golden_file(name):
    """Every sample of a healthy report, of one with findings, and of one with a failed collector."""
    assert text(name) == (GOLDEN / f"{name}.prom").read_text()


@pytest.mark.parametrize("name", REPORT_NAMES)
def test_promtool_has_no_remark(name):
    """Prometheus' linter accepts all names, units and help texts: it ends with 0 and prints nothing."""
    assert promtool(text(name).encode()) == (0, "")


def test_base_units():
    """Values are the report's, converted to bytes, seconds and ratios."""
    report, found = REPORTS["breached"], samples(text("breached"))
    eth0 = (("device", "eth0"), ("kind", "physical"))
    counters = report.interfaces[1].link.counters
    assert {key[0]: value for key, value in found.items() if key[1:] == eth0} == {
        "interface_up": 1,
        "interface_speed_bytes_per_second": 1e9 / 8,
        "interface_mtu_bytes": 1500,
        "interface_transmit_bytes_per_second": 251.3e6 / 8,
        "interface_receive_bytes_per_second": 0,
        "interface_transmit_bytes_total": counters.tx_bytes,
        "interface_receive_bytes_total": counters.rx_bytes,
        "interface_transmit_packets_total": counters.tx_packets,
        "interface_receive_packets_total": counters.rx_packets,
        "interface_transmit_errors_total": counters.tx_errors,
        "interface_receive_errors_total": counters.rx_errors,
        "interface_transmit_drops_total": counters.tx_drops,
        "interface_receive_drops_total": counters.rx_drops,
        "interface_carrier_changes_total": 1,
    }
    assert found["tcp_retransmit_ratio",] == report.protocols.retransmit_percent / 100
    assert found["conntrack_used_ratio",] == 0.25
    assert found["check_interval_seconds",] == 30
    assert found["last_check_timestamp_seconds",] == report.timestamp


def with_interface(**changes):
    """The breached report with eth0 alone, with changes to its fields or to those of its link."""
    report = REPORTS["breached"]
    eth0 = report.interfaces[1]
    links = {name: value for name, value in changes.items() if name in LINK_FIELDS}
    rest = {name: value for name, value in changes.items() if name not in LINK_FIELDS}
    return replace(report, interfaces=(eth0._replace(link=replace(eth0.link, **links), **rest),))


def of_interface(report):
    """The samples of eth0: value by name."""
    found = samples(exposition(report))
    return {key[0]: value for key, value in found.items() if ("device", "eth0") in key[1:]}


def test_a_known_peak_is_a_sample():
    """In bytes per second, for each direction; an unknown one is absent."""
    found = of_interface(with_interface(tx_peak_mbps=999.32, rx_nohandler=7))
    assert found["interface_transmit_peak_bytes_per_second"] == 124_915_000
    assert "interface_receive_peak_bytes_per_second" not in found
    assert found["interface_receive_nohandler_total"] == 7


@pytest.mark.parametrize(
    ("name", "kind", "label"),
    [
        ("eth0", "", ("kind", "physical")),
        ("lo", "", ("kind", "loopback")),
        ("tun0", "tun", ("kind", "tun")),
        ("veth1", "veth", ("kind", "veth")),
        ("eth0", None, None),
    ],
)
def test_only_a_physical_interface_has_a_speed(name, kind, label):
    """The kernel reports a nominal speed for others; psutil does not say what an interface is."""
    found = samples(exposition(with_interface(name=name, kind=kind, speed_mbps=10)))
    labels = tuple(filter(None, (("device", name), label)))
    assert ("interface_up", *labels) in found
    speed = ("interface_speed_bytes_per_second", *labels)
    assert (speed in found) is (label == ("kind", "physical"))


def test_an_unknown_value_has_no_sample():
    """An unknown speed, rate or counter, and the metrics of a failed collector, are absent, not 0."""
    found = samples(text("blind"))
    assert "interface_speed_bytes_per_second" not in {key[0] for key in found}
    assert ("tcp_retransmit_ratio",) not in found
    assert found["collector_success", ("collector", "processes")] == 0
    assert found["collector_success", ("collector", "interfaces")] == 1
    assert found["settings_errors",] == 1
    known = of_interface(with_interface(rx_nohandler=0)).keys()
    assert known - of_interface(with_interface(tx_mbps=None, carrier_changes=None)).keys() == {
        "interface_transmit_bytes_per_second",
        "interface_carrier_changes_total",
        "interface_receive_nohandler_total",
    }
    bare = with_interface(
        counters=None, mtu=None, speed_mbps=None, tx_mbps=None, rx_mbps=None, rx_nohandler=None
    )
    assert of_interface(bare).keys() == {"interface_up", "interface_carrier_changes_total"}
    empty = samples(exposition(Report("check_failed", "WARNING", "", {}, 1.0)))
    assert {key[0] for key in empty} == {
        "alerts_left_out",
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
    assert labels == {
        *("check", "collector", "device", "kind", "severity", "state", "status", "subject", "unit", "version")
    }


def test_states_add_up():
    """Each known state has a sample, even if it is 0; all other states are one sample."""
    by_status = {"LISTEN": 3, "NONE": 2, "IDLE": 4, "BOUND": 1}
    report = replace(REPORTS["healthy"], connections=Connections(by_status))
    found = {
        key[1][1]: value for key, value in samples(exposition(report)).items() if key[0] == "connections"
    }
    assert len(found) == 13
    assert (found["listen"], found["udp"], found["other"], sum(found.values())) == (3, 2, 5, 10)


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
        interfaces = {value for key in samples(text(name)) for label, value in key[1:] if label == "device"}
        assert ("eth0" in interfaces) is (name == "breached")


def test_interfaces_above_the_maximum_are_left_out_and_counted():
    """Those with an alert stay, then physical ones, then the oldest; the rest is counted."""
    many = [Link(f"veth{n}", True, 10 + n, kind="veth", counters=Counters()) for n in range(MAX_INTERFACES)]
    loud = replace(many.pop(), name="loud", counters=Counters(rx_errors=7))
    links = (*many, loud, replace(ETH0, index=5000), replace(ETH0, name="eth1", index=5001))
    found = samples(exposition(report_of(host_with(links).readers())))
    shown = {dict(key[1:])["device"] for key in found if key[0] == "interface_up"}
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
    shown = {(key[0], dict(key[1:]).get("device", "")): value for key, value in found.items()}
    for entry in {entry["iface"]: entry for entry in report.metrics.get("interfaces", ())}.values():
        errors = None if "tx_errs" in entry.get("unknown", ()) else entry["tx_errs"]
        assert shown.get(("interface_transmit_errors_total", entry["iface"])) == errors
        assert shown["interface_up", entry["iface"]] == entry["up"]
    sockets = [value for key, value in found.items() if key[0] == "connections"]
    assert math.isclose(sum(sockets), report.metrics["total_connections"])


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=examples(15))
@given(READERS)
def test_promtool_accepts_any_report(readers):
    """promtool parses the text of any report."""
    assert promtool(exposition(report_of(readers))) == (0, "")


def test_every_protocol_rate_and_share_is_exported():
    """No metric of `Protocols` is left out."""
    names = {field.name for field in fields(Protocols)}
    rates = {name for name in names if name.endswith("_per_sec")}
    rest = {name for name in names if "_per" not in name and not name.endswith("_by_cpu")}
    rest -= {"window_s", "ip", "has_limits"}
    assert (set(metric_families._RATES), set(metric_families._SHARES)) == (rates, rest)


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for each in REPORT_NAMES:
        (GOLDEN / f"{each}.prom").write_text(text(each))
