"""Tests of the findings of one check and their sentences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health import Settings
from network_health.alerting.thresholds import evaluate
from network_health.model import Connections, Cost, Counters, Interface, Link, Protocols, Share, Snapshot


def found(*interfaces, connections=None, protocols=None, **config):
    """The findings for these readings under these settings."""
    sockets = None if connections is None else Connections({"ESTABLISHED": connections})
    snapshot = Snapshot(0.0, interfaces, sockets, None, (), Cost(0.0, {}, {}), protocols)
    return evaluate(snapshot, Settings.from_mapping(config))


def sentences(*interfaces, **config):
    """The text of each finding, and whether it is breached."""
    return [(finding.text, finding.breached) for finding in found(*interfaces, **config)]


def eth0(tx=None, rx=None, **seen):
    return Interface(Link("eth0", up=True, counters=Counters()), tx_mbps=tx, rx_mbps=rx, **seen)


@pytest.mark.parametrize(
    ("value", "limit", "texts"),
    [
        (251.3, 250, ["eth0 outbound 251.3 Mbps > 250 Mbps"]),
        (250.0, 250, []),
        (250.01, 250, ["eth0 outbound 250.01 Mbps > 250 Mbps"]),
        (0.0, 0, []),
        (0.01, 0, ["eth0 outbound 0.01 Mbps > 0 Mbps"]),
        (None, 0, []),
    ],
)
def test_a_rate_is_breached_by_more_than_its_limit(value, limit, texts):
    """An equal value is no breach, nor is an unknown one."""
    assert sentences(eth0(tx=value), tx_threshold_mbps=limit) == [(text, True) for text in texts]
    inbound = [(text.replace("outbound", "inbound"), True) for text in texts]
    assert sentences(eth0(rx=value), rx_threshold_mbps=limit) == inbound


@pytest.mark.parametrize(
    ("basis", "tx_peak", "rx_peak", "texts"),
    [
        ("average", 999.33, 999.33, ["eth0 inbound 30.0 Mbps > 20 Mbps"]),
        (
            "peak",
            999.33,
            30.5,
            ["eth0 outbound peak 999.33 Mbps > 20 Mbps", "eth0 inbound peak 30.5 Mbps > 20 Mbps"],
        ),
        ("peak", 20.0, None, ["eth0 inbound 30.0 Mbps > 20 Mbps"]),
    ],
)
def test_the_highest_second_is_compared_if_the_settings_say_so(basis, tx_peak, rx_peak, texts):
    """Where it is unknown, the average is; by default the average always is."""
    seen = eth0(tx=10.0, rx=30.0, tx_peak_mbps=tx_peak, rx_peak_mbps=rx_peak)
    limits = {"tx_threshold_mbps": 20, "rx_threshold_mbps": 20}
    assert sentences(seen, rate_basis=basis, **limits) == [(text, True) for text in texts]


@pytest.mark.parametrize(
    ("count", "texts"), [(2001, ["High connection count: 2001 > 2000"]), (2000, []), (0, []), (None, [])]
)
def test_connections_are_breached_by_more_than_their_limit(count, texts):
    """An equal value is no breach, nor is an unknown one."""
    assert sentences(connections=count, conn_threshold=2000) == [(text, True) for text in texts]


def test_the_order_is_the_references():
    """Each interface's outbound, inbound and errors come first, then connections, then protocols."""
    protocols = Protocols(conntrack=Share(80, 100))
    findings = found(
        eth0(tx=2.0, rx=3.0, new_tx_drops=1),
        connections=5,
        protocols=protocols,
        tx_threshold_mbps=1,
        rx_threshold_mbps=1,
        conn_threshold=4,
        conntrack_threshold_percent=75,
    )
    assert [finding.text for finding in findings] == [
        "eth0 outbound 2.0 Mbps > 1 Mbps",
        "eth0 inbound 3.0 Mbps > 1 Mbps",
        "eth0 errors: TX=0 RX=0 drops=1",
        "High connection count: 5 > 4",
        "Conntrack table 80.0% > 75%",
    ]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (250.01, [("eth0 outbound 250.01 Mbps > 250 Mbps", True, 250)]),
        (250.0, [("eth0 outbound 250.0 Mbps > 225 Mbps (90% of the limit)", False, 250)]),
        (225.01, [("eth0 outbound 225.01 Mbps > 225 Mbps (90% of the limit)", False, 250)]),
        (225.0, []),
        (0.0, []),
    ],
)
def test_the_clear_band_names_its_share_of_the_limit(value, expected):
    """A value between the level where an alert ends and the limit is no breach; its sentence is true."""
    findings = found(eth0(tx=value), tx_threshold_mbps=250, clear_percent=90)
    assert [(f.text, f.breached, f.limit) for f in findings] == expected


def test_every_limit_has_a_clear_band():
    """Connections, protocols and the share of packet errors have one, as rates do."""
    seen = eth0(new_tx_drops=19, new_tx_packets=981)
    assert sentences(seen, packet_error_percent=2, clear_percent=90) == [
        ("eth0 errors: TX=0 RX=0 drops=19, 1.9% of sent packets > 1.8% (90% of the limit)", False)
    ]
    limits = {"conn_threshold": 2000, "conntrack_threshold_percent": 75}
    assert sentences(
        connections=1801, protocols=Protocols(conntrack=Share(68, 100)), clear_percent=90, **limits
    ) == [
        ("High connection count: 1801 > 1800 (90% of the limit)", False),
        ("Conntrack table 68.0% > 67.5% (90% of the limit)", False),
    ]


@pytest.mark.parametrize(
    ("errors", "packets", "limit", "texts"),
    [
        ((0, 0, 0), 0, 0, []),
        ((1, 0, 3), 1000, 0, ["eth0 errors: TX=1 RX=0 drops=3"]),
        ((0, 0, 1), 0, 0, ["eth0 errors: TX=0 RX=0 drops=1"]),
        ((2, 0, 3), 195, 1, ["eth0 errors: TX=2 RX=0 drops=3, 2.5% of sent packets > 1%"]),
        ((0, 0, 1), 99, 1, []),
        ((0, 0, 2), 98, 1, ["eth0 errors: TX=0 RX=0 drops=2, 2.0% of sent packets > 1%"]),
        ((0, 0, 2), 97, 1, []),
        ((0, 0, 99), 0, 1, []),
        ((0, 0, 0), 500, 1, []),
        ((0, 0, 1), 9999, 0.001, ["eth0 errors: TX=0 RX=0 drops=1, 0.01% of sent packets > 0.001%"]),
        ((0, 0, 500), 0, 100, []),
    ],
)
def test_packet_errors_by_number_and_by_share(errors, packets, limit, texts):
    """With 0 every new error counts; above 0 the share does, from 100 packets on, lost ones included."""
    tx, rx, drops = errors
    seen = eth0(new_tx_errors=tx, new_rx_errors=rx, new_tx_drops=drops, new_tx_packets=packets)
    assert sentences(seen, packet_error_percent=limit) == [(text, True) for text in texts]


def test_errors_since_boot_are_marked():
    """Errors from before the first check are marked in the sentence."""
    seen = eth0(new_rx_errors=3, since_boot=True)
    assert sentences(seen) == [("eth0 errors: TX=0 RX=3 drops=0 (since boot)", True)]


@pytest.mark.parametrize(
    ("sent", "received", "shares"),
    [
        ((9000, 0), (10, 150), "93.8% of received"),
        ((10, 150), (9000, 0), "93.8% of sent"),
        ((100, 100), (100, 300), "50.0% of sent packets and 75.0% of received"),
        ((9000, 90), (9000, 90), None),
        ((0, 99), (0, 99), None),
        ((9000, 0), (None, 150), None),
    ],
)
def test_each_direction_has_its_own_share(sent, received, shares):
    """Much traffic in one direction does not hide the loss in the other one."""
    seen = eth0(
        new_tx_packets=sent[0], new_tx_errors=sent[1], new_rx_packets=received[0], new_rx_errors=received[1]
    )
    text = f"eth0 errors: TX={sent[1]} RX={received[1]} drops=0, {shares} packets > 2%"
    assert sentences(seen, packet_error_percent=2) == ([(text, True)] if shares else [])


@pytest.mark.parametrize(
    ("seen", "config", "texts"),
    [
        ({"new_rx_drops": 15}, {}, []),
        ({"new_rx_drops": 150}, {}, []),
        ({"new_rx_drops": 151}, {}, ["drops=151"]),
        ({"new_rx_drops": 100, "window_s": 1}, {}, []),
        ({"new_rx_drops": 101, "window_s": 1}, {}, ["drops=101"]),
        ({"new_rx_drops": 18_000, "window_s": 3600}, {}, []),
        ({"new_rx_drops": 18_001, "window_s": 3600}, {}, ["drops=18001"]),
        ({"new_rx_drops": 10**6, "window_s": None, "since_boot": True}, {}, []),
        ({"new_rx_drops": 16, "new_rx_missed": 1}, {}, ["drops=16"]),
        ({"new_rx_drops": 15, "new_tx_drops": 1}, {}, ["drops=16"]),
        ({"new_rx_drops": 15, "new_rx_packets": 15}, {"packet_error_percent": 2}, []),
        ({"new_rx_drops": 15, "new_rx_packets": 500}, {"packet_error_percent": 2}, []),
        (
            {"new_rx_drops": 150, "new_rx_packets": 150, "window_s": 1},
            {"packet_error_percent": 2},
            ["drops=150, 100.0% of received packets > 2%"],
        ),
        (
            {"new_rx_drops": 115, "new_rx_missed": 100, "new_rx_packets": 900},
            {"packet_error_percent": 2},
            ["drops=115, 10.0% of received packets > 2%"],
        ),
    ],
)
def test_a_few_frames_dropped_by_the_network_stack_are_no_loss(seen, config, texts):
    """They may be of a protocol that nobody listens to. More than 5 per second, and than 100, are a loss."""
    expected = [(f"eth0 errors: TX=0 RX=0 {text}", True) for text in texts]
    assert sentences(eth0(**{"window_s": 30} | seen), **config) == expected


def test_total_errors_are_the_counters_and_have_no_share():
    """The rule of the reference counts all errors since the interface was created."""
    link = Link("eth0", up=True, counters=Counters(tx_errors=1, rx_errors=2, tx_drops=3, rx_drops=4))
    interfaces = Interface(link), Interface(Link("eth1", up=True))
    assert sentences(*interfaces, packet_errors="total", packet_error_percent=50) == [
        ("eth0 errors: TX=1 RX=2 drops=7", True)
    ]


@given(
    st.floats(0, 1e6).map(lambda x: round(x, 2)),
    st.integers(0, 10**6) | st.floats(0, 1e6).map(lambda x: round(x, 2)),
    st.integers(1, 100),
)
def test_a_value_is_breached_or_clearing_or_nothing(value, limit, percent):
    """One finding at most, and its sentence ``value > level`` is true."""
    findings = found(eth0(tx=value), tx_threshold_mbps=limit, clear_percent=percent)
    if value > limit:
        assert [f.breached for f in findings] == [True]
    elif value <= limit * percent / 100 * (1 - 1e-9):
        assert findings == ()
    for finding in findings:
        _, _, seen, _, _, level, *_ = finding.text.split()
        assert float(seen) > float(level)
        assert finding.limit == pytest.approx(limit)
