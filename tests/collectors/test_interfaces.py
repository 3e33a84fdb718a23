"""Tests of the rates and new errors of each interface from two readings."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.collectors.collector import MIN_WINDOW_S
from network_health.collectors.interfaces import observe_interfaces, reported_counters
from network_health.model import Counters, ErrorCounters, Interface, Link, LinkReading

ETH0 = Link("eth0", up=True, index=2, counters=Counters(1_000_000, 2_000_000, 1000, 2000, 1, 2, 3, 4))


def reading(at_s, *links):
    return LinkReading(at_s, links)


def later(link, **added):
    counters = link.counters
    return replace(
        link, counters=counters._replace(**{k: getattr(counters, k) + v for k, v in added.items()})
    )


def observed(before, after, seconds=1.0, **kwargs):
    """One link in two readings, the first of which was reported."""
    (seen,) = observe_interfaces(
        reading(10, before), reported_counters(reading(10, before)), reading(10 + seconds, after), **kwargs
    )
    return seen


@pytest.mark.parametrize(
    ("octets", "seconds", "mbps"),
    [
        (0, 1, 0.0),
        (125_000, 1, 1.0),
        (125_000_000, 1, 1000.0),
        (125_000, 2, 0.5),
        (125_000, 30, 0.03),
        (1, 1, 0.0),
        (31_412_500, 1, 251.3),
    ],
)
def test_rates_are_mbps_of_a_million_bits(octets, seconds, mbps):
    """A rate is bytes over seconds, in 10^6 bits/s with two decimals, in each direction."""
    seen = observed(ETH0, later(ETH0, tx_bytes=octets), seconds)
    assert (seen.tx_mbps, seen.rx_mbps) == (mbps, 0.0)
    seen = observed(ETH0, later(ETH0, rx_bytes=octets), seconds)
    assert (seen.tx_mbps, seen.rx_mbps) == (0.0, mbps)


@pytest.mark.parametrize("seconds", [0, -1, MIN_WINDOW_S / 2, 1e-9])
def test_no_rate_over_a_very_short_window(seconds):
    """Two reads at the same time, or a clock that did not advance, give no rate."""
    seen = observed(ETH0, later(ETH0, tx_bytes=10**9), seconds)
    assert (seen.tx_mbps, seen.rx_mbps, seen.counters_reset) == (None, None, False)


@pytest.mark.parametrize(
    "after",
    [
        replace(ETH0, counters=Counters()),
        replace(ETH0, counters=ETH0.counters._replace(tx_bytes=999_999)),
        replace(ETH0, counters=ETH0.counters._replace(rx_packets=0)),
        replace(later(ETH0, tx_bytes=10**9, rx_bytes=10**9), index=9),
    ],
    ids=["zeroed", "bytes went back", "packets went back", "another index"],
)
def test_a_reset_counter_yields_no_rate(after):
    """An interface that was created again has no rate in that window, and ``counters_reset`` is set."""
    seen = observed(ETH0, after)
    assert (seen.tx_mbps, seen.rx_mbps, seen.counters_reset) == (None, None, True)


def test_errors_after_a_reset_count_from_the_creation():
    """After a reset all errors of the interface are new."""
    seen = observed(ETH0, replace(ETH0, index=9, counters=Counters(5, 5, 5, 5, 7, 0, 1, 1)))
    assert (seen.new_tx_errors, seen.new_rx_errors, seen.new_drops) == (7, 0, 2)


def test_only_new_errors_count():
    """Errors that an earlier check has reported are not reported again."""
    seen = observed(ETH0, later(ETH0, tx_errors=1, rx_errors=2, tx_drops=3, rx_drops=4, tx_packets=9))
    assert (seen.new_tx_errors, seen.new_rx_errors, seen.new_drops, seen.new_packets) == (1, 2, 7, 9)
    assert observed(ETH0, ETH0).new_drops == 0


def test_the_first_window_runs_from_creation():
    """If nothing is known about earlier checks, all errors are reported, with ``since_boot`` set."""
    (seen,) = observe_interfaces(None, None, reading(1, ETH0))
    assert seen == Interface(
        ETH0, new_tx_errors=1, new_rx_errors=2, new_drops=7, new_packets=3000, since_boot=True
    )


def test_a_restarted_monitor_continues_from_the_saved_counters():
    """With saved counters no error is repeated or missed, although there is no rate yet."""
    (seen,) = observe_interfaces(None, {"eth0": ErrorCounters(2, 1, 2, 5, 2900)}, reading(1, ETH0))
    assert (seen.new_tx_errors, seen.new_rx_errors, seen.new_drops, seen.since_boot) == (0, 0, 2, False)


def test_an_interface_that_is_new_has_no_rate_but_all_its_errors():
    """A new interface was created in this window, so all its errors are new."""
    (seen,) = observe_interfaces(reading(1), {}, reading(2, ETH0))
    assert (seen.tx_mbps, seen.new_tx_errors, seen.since_boot) == (None, 1, False)


def test_a_vanished_interface_is_left_out():
    """An interface that is gone is not in the result."""
    assert observe_interfaces(reading(1, ETH0), reported_counters(reading(1, ETH0)), reading(2)) == ()


def test_an_interface_without_counters_is_unknown_not_zero():
    """Without counters there is no rate."""
    bare = replace(ETH0, counters=None)
    assert observed(bare, bare) == Interface(bare)
    assert observed(ETH0, bare) == Interface(bare)
    assert observed(bare, ETH0).tx_mbps is None


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        ((), ["lo", "eth0", "veth1", "veth2"]),
        (("lo",), ["eth0", "veth1", "veth2"]),
        (("veth*",), ["lo", "eth0"]),
        (("veth?", "lo"), ["eth0"]),
        (("LO", "eth"), ["lo", "eth0", "veth1", "veth2"]),
        (("*",), []),
    ],
)
def test_exclusion_takes_names_and_patterns(exclude, left):
    """Exact names and shell patterns exclude an interface; upper and lower case differ."""
    links = [replace(ETH0, name=name) for name in ("lo", "eth0", "veth1", "veth2")]
    assert [i.link.name for i in observe_interfaces(None, None, reading(1, *links), exclude)] == left


def test_a_name_with_brackets_is_excluded_by_itself():
    """A name is compared exactly before it is used as a pattern."""
    assert observe_interfaces(None, None, reading(1, replace(ETH0, name="a[1]")), ("a[1]",)) == ()


COUNTERS = st.builds(Counters, *[st.integers(0, 2**64 - 1)] * 8)
LINKS = st.builds(
    Link, st.sampled_from(["a", "b", "c"]), st.booleans(), st.integers(1, 3), counters=COUNTERS | st.none()
)
READINGS = st.lists(LINKS, unique_by=lambda link: link.name).map(tuple)


@given(READINGS, READINGS, st.floats(-10, 100), st.booleans())
def test_nothing_is_ever_negative(before, after, seconds, known):
    """Any two readings give one result per link, without a negative rate or count."""
    first = LinkReading(0, before)
    seen = observe_interfaces(first, reported_counters(first) if known else None, LinkReading(seconds, after))
    assert [i.link for i in seen] == list(after)
    for i in seen:
        assert min(i.tx_mbps or 0, i.rx_mbps or 0, i.new_tx_errors, i.new_rx_errors, i.new_drops) >= 0


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 50)), min_size=2, max_size=20))
def test_over_many_windows_no_error_is_missed_or_repeated(steps):
    """The new errors of all windows add up to the interface's total."""
    link, total, reported = ETH0, 0, reported_counters(LinkReading(0, (ETH0,)))
    for at_s, (octets, errors) in enumerate(steps):
        link = later(link, tx_bytes=octets, tx_errors=errors)
        now = LinkReading(at_s, (link,))
        (seen,) = observe_interfaces(None, reported, now)
        total += seen.new_tx_errors
        reported = reported_counters(now)
    assert total == link.counters.tx_errors - ETH0.counters.tx_errors
