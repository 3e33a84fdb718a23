"""The status line of ``network-health check --nagios``: its size, its sums, links that are down already."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network_health import Settings
from network_health.cli.nagios import status_line
from tests.cli.command import inside
from tests.cli.test_check import performance_data
from tests.examples import examples

QUICK = ("--seconds", "0.2")
NAMES = st.text(st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=15)
RATES = st.none() | st.floats(0, 1e6)


def link(name, out=0.0, into=0.0, drops=0):
    """One of ``metrics.interfaces``; a rate of ``None`` is unknown."""
    rates = {"tx_rate_mbps": out, "rx_rate_mbps": into}
    unknown = [key for key, rate in rates.items() if rate is None]
    counts = {"tx_errs": 0, "rx_errs": 0, "drops": drops}
    return {"iface": name, **{k: r or 0 for k, r in rates.items()}, **counts, "unknown": unknown}


def line(links, details="x", alerts=()):
    """The status line for these interfaces."""
    metrics = {"interfaces": links, "alerts": list(alerts), "total_connections": 7, "check": {"total_ms": 5}}
    return status_line({"details": details, "metrics": metrics}, Settings(), 1)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(st.builds(link, NAMES, RATES, RATES, st.integers(0, 2**64)), max_size=120), st.lists(NAMES))
def test_the_line_is_below_4_kib(links, words):
    """With any names and findings, also in ASCII with escapes; the number of all interfaces is in it."""
    sentences = "; ".join(f"{word} errors: TX=1 {word * 40}" for word in words * 30)
    written = line(links, sentences)
    assert len(written.encode("ascii", "backslashreplace")) < 4096
    assert "\n" not in written
    if links:
        assert f" 'interfaces'={len(links)};;;0 " in written


def test_of_many_interfaces_the_worst_are_printed():
    """Those with an alert, then those with the highest rates, in the report's order; the sum is of all."""
    links = [link(f"veth{n:03}", out=n / 4, drops=1) for n in range(1000)]
    alerts = [{"check": "link", "subject": "veth003"}]
    found = performance_data(line(links, alerts=alerts))
    names = [label.removesuffix("_tx_mbps") for label in found if label.endswith("_tx_mbps")]
    assert names[0] == "veth003"
    assert names[1:-1] == [f"veth{n}" for n in range(1000 - len(names[1:-1]), 1000)]
    assert len(names) > 10
    assert found["interfaces"] == (1000, "", None, None)
    assert found["all_tx_mbps"] == (sum(n / 4 for n in range(1000)), "", None, None)
    assert found["all_drops"] == (1000, "c", None, None)
    assert found["connections"][0] == 7


def test_few_interfaces_are_all_printed():
    """Each has its five metrics; a sum with an unknown part is unknown."""
    found = performance_data(line([link("eth0", out=2.5), link("eth1", out=None, into=1.25)]))
    assert [label for label in found if label.startswith("eth1")] == [
        f"eth1_{name}" for name in ("tx_mbps", "rx_mbps", "tx_errs", "rx_errs", "drops")
    ]
    assert (found["eth1_tx_mbps"][0], found["all_tx_mbps"][0], found["all_rx_mbps"][0]) == (None, None, 1.25)


def test_findings_that_do_not_fit_are_counted():
    """The first ones are complete, and a long one ends with an ellipsis."""
    text = line([], "; ".join(f"eth{n} errors: TX=1 RX=0 drops=0" for n in range(500))).partition(" | ")[0]
    assert text.startswith("NETWORK WARNING - eth0 errors: TX=1 RX=0 drops=0; eth1 ")
    shown = text.count(" errors: ")
    assert shown > 30
    assert text.endswith(f"; {500 - shown} more findings")
    cut = line([], "Culprits " + "a" * 5000).partition(" | ")[0]
    assert cut.endswith("aaa ...")
    assert 400 < len(cut) < 650


@pytest.mark.root
@pytest.mark.parametrize(
    ("setup", "is_reported"),
    [
        ("addr add 10.3.0.1/24 dev va", True),
        ("route add default dev va", True),
        ("-6 addr add 2001:db8::1/64 dev va nodad", True),
        ("-6 route add default dev va", True),
        ("route add 10.9.0.0/16 dev va", False),
        ("addr add 169.254.7.7/16 dev va", False),
        ("-6 addr add fe80::7/64 dev va nodad", False),
        ("-6 route add unreachable default", False),
    ],
)
def test_a_link_that_is_down_from_the_start(namespace, setup, is_reported):
    """Set up without a carrier, it is a finding if it has an address or a default route."""
    space = namespace()
    space.ip("link", "add", "va", "type", "veth", "peer", "name", "vb")
    space.ip("link", "set", "va", "up")
    space.ip(*setup.split())
    assert "NO-CARRIER" in space.links()["va"]["flags"]
    done = inside(space, "check", *QUICK, "--nagios")
    # The kernel itself may send by an IPv6 address, which counts as a drop.
    assert ("va is down" in done.stdout) == is_reported
    assert done.returncode == int(is_reported or "va errors" in done.stdout)


@pytest.mark.root
def test_what_is_not_a_link_that_is_down(namespace):
    """Set down by an administrator, a bridge without ports, a link with a carrier, or the setting is off."""
    space = namespace()
    space.ip("link", "add", "br0", "type", "bridge")
    space.ip("link", "add", "off", "type", "veth", "peer", "name", "free")
    space.ip("link", "add", "on", "type", "veth", "peer", "name", "peer")
    for name in ("br0", "off", "on"):
        space.ip("addr", "add", "10.4.0.1/24", "dev", name)
    for name in ("br0", "on", "peer"):
        space.ip("link", "set", name, "up")
    assert inside(space, "check", *QUICK, "--nagios").stdout.startswith("NETWORK OK - ")
    space.ip("link", "add", "va", "type", "veth", "peer", "name", "vb")
    space.ip("addr", "add", "10.3.0.1/24", "dev", "va")
    space.ip("link", "set", "va", "up")
    report = json.loads(inside(space, "check", *QUICK, "--json").stdout)
    assert (report["details"], report["metrics"]["alerts"][0]["subject"]) == ("va is down", "va")
    off = inside(space, "check", *QUICK, "--nagios", "--link-down-alerts", "off")
    assert off.stdout.startswith("NETWORK OK - ")
