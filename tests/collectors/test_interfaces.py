"""Tests of the rates and new errors of each interface from two readings."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.collectors.collector import MIN_WINDOW_S
from network_health.collectors.counters import with_history
from network_health.collectors.interfaces import observe_interfaces, reported_counters
from network_health.model import Baseline, Counters, Interface, Link, LinkReading

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


def at(first, *rest):
    """The same link in readings 30 s apart, each of which was reported; the last result."""
    before = reading(0, replace(ETH0, counters=first))
    for number, counters in enumerate(rest, 1):
        after = with_history(before, reading(30 * number, replace(ETH0, counters=counters)))
        (seen,) = observe_interfaces(before, reported_counters(before), after)
        before = after
    return seen


def rates_and_errors(seen):
    """What is known of one window."""
    return seen.tx_mbps, seen.rx_mbps, seen.new_tx_errors, seen.new_rx_errors, seen.new_drops


LIFE = Counters(5 * 10**12, 9 * 10**12, 4 * 10**9, 7 * 10**9, 3, 812, 5, 1400)
ZEROS = Counters()


def grown(mbit, **changed):
    """`LIFE` after so many megabits in each direction."""
    octets = mbit * 125_000
    return LIFE._replace(
        tx_bytes=LIFE.tx_bytes + octets,
        rx_bytes=LIFE.rx_bytes + octets,
        tx_packets=LIFE.tx_packets + mbit * 100,
        rx_packets=LIFE.rx_packets + mbit * 100,
        **changed,
    )


@pytest.mark.parametrize(
    ("readings", "expected", "reset"),
    [
        ((LIFE, grown(30)), (1.0, 1.0, 0, 0, 0), False),
        ((LIFE, ZEROS), (None, None, None, None, None), True),
        ((LIFE, ZEROS, ZEROS), (0.0, 0.0, 0, 0, 0), False),
        ((LIFE, ZEROS, grown(30)), (None, None, 0, 0, 0), False),
        ((LIFE, ZEROS, grown(30, rx_drops=1402)), (None, None, 0, 0, 2), False),
        ((LIFE, ZEROS, ZEROS, grown(30), grown(60)), (1.0, 1.0, 0, 0, 0), False),
        ((LIFE, grown(30, rx_drops=1399)), (1.0, 1.0, 0, 0, None), True),
        ((LIFE, grown(30, rx_drops=1399, tx_drops=9)), (1.0, 1.0, 0, 0, 4), True),
        ((LIFE, grown(30, rx_drops=1399), grown(60, rx_drops=1401)), (1.0, 1.0, 0, 0, 1), False),
        ((LIFE, grown(30, rx_drops=0), grown(60, rx_drops=7)), (1.0, 1.0, 0, 0, 7), False),
        ((LIFE, grown(30, rx_errors=811), grown(60, rx_errors=812)), (1.0, 1.0, 0, 0, 0), False),
        ((LIFE, grown(30)._replace(tx_bytes=4 * 10**12)), (None, 1.0, 0, 0, 0), True),
        ((LIFE, grown(30)._replace(tx_packets=0)), (1.0, 1.0, 0, 0, 0), True),
    ],
)
def test_each_counter_is_compared_alone(readings, expected, reset):
    """A counter that went back is unknown in that window, and its return is no increase."""
    seen = at(*readings)
    assert (rates_and_errors(seen), seen.counters_reset) == (expected, reset)


def test_a_counter_that_stays_low_was_reset():
    """After two minutes without a move, it counts from its new value."""
    high, low = Counters(rx_drops=50), Counters(rx_drops=3)
    assert at(high, low, low, high).new_drops == 0
    assert at(high, low, low, low, low, low, low, high).new_drops == 47


@pytest.mark.parametrize(
    ("link", "mbps"),
    [
        ({"kind": "", "speed_mbps": 1000}, None),
        ({"kind": "", "speed_mbps": 10_000}, 1000.01),
        ({"kind": "", "speed_mbps": None}, 1000.01),
        ({"kind": "tun", "speed_mbps": 10}, 1000.01),
        ({"kind": None, "speed_mbps": 10}, 1000.01),
    ],
)
def test_a_physical_link_has_no_rate_above_its_speed(link, mbps):
    """Virtual links have a speed that nothing enforces, and psutil does not say which are virtual."""
    eth0 = replace(ETH0, **link)
    assert observed(eth0, later(eth0, tx_bytes=125_001_250)).tx_mbps == mbps
    assert observed(eth0, later(eth0, rx_bytes=125_000_000)).rx_mbps == (1000.0 if mbps != 10 else 10)


def test_another_index_is_another_interface():
    """It has no rate, ``counters_reset`` is set, and its errors count from its announcement."""
    other = replace(ETH0, index=9, counters=Counters(5, 5, 5, 5, 7, 0, 1, 1))
    before = reading(10, ETH0)
    after = replace(reading(11, other), announced={9: Counters()})
    (seen,) = observe_interfaces(before, reported_counters(before), after)
    assert seen == Interface(other, None, None, 7, 0, 1, 1, 0, 5, 5, counters_reset=True, window_s=1.0)


def test_a_renamed_interface_is_the_same():
    """Its rates and its new errors are those since the previous check."""
    seen = observed(ETH0, replace(later(ETH0, tx_bytes=125_000, rx_drops=2), name="lan0"))
    assert rates_and_errors(seen) == (1.0, 0.0, 0, 0, 2)
    assert not seen.counters_reset


@pytest.mark.parametrize(
    ("announced", "errors"),
    [({}, (None, None, None)), ({2: Counters()}, (1, 2, 7)), ({2: ETH0.counters}, (0, 0, 0))],
    ids=["unknown", "created", "moved"],
)
def test_new_errors_of_an_added_interface_count_from_its_announcement(announced, errors):
    """Without an announcement, the errors that it has at first sight are not new, and not known to be old."""
    after = replace(reading(2, ETH0), announced=announced)
    (seen,) = observe_interfaces(reading(1), {}, after)
    assert (seen.tx_mbps, seen.since_boot) == (None, False)
    assert (seen.new_tx_errors, seen.new_rx_errors, seen.new_drops) == errors
    (next_seen,) = observe_interfaces(after, reported_counters(after), reading(3, later(ETH0, rx_errors=3)))
    assert next_seen.new_rx_errors == 3


NARROW = Counters(2**32 - 1000, 2**31 + 7, 9_000_000, 8_000_000, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("then", "now", "mbps"),
    [
        (NARROW, NARROW._replace(tx_bytes=124_000, tx_packets=9_000_100), 1.0),
        (NARROW, NARROW._replace(tx_bytes=124_000, tx_packets=9_000_000), None),
        (NARROW, NARROW._replace(tx_bytes=0, tx_packets=0), None),
        (NARROW, NARROW._replace(tx_bytes=2**32 - 1001, tx_packets=9_000_100), None),
        (NARROW._replace(rx_bytes=2**33), NARROW._replace(tx_bytes=124_000, tx_packets=9_000_100), None),
        (
            NARROW._replace(tx_packets=2**32 - 50, tx_bytes=5),
            NARROW._replace(tx_packets=50, tx_bytes=125_005),
            1.0,
        ),
    ],
    ids=["wrapped", "no packets", "zeroed", "back by one", "64 bits", "packets wrapped"],
)
def test_a_32_bit_counter_that_wrapped_has_its_true_rate(then, now, mbps):
    """It is told from one that went back by its size, and by the other counter of its direction."""
    seen = observed(replace(ETH0, counters=then), replace(ETH0, counters=now))
    assert seen.tx_mbps == mbps


def test_a_counter_that_wraps_in_every_window_has_a_rate_in_each():
    """A wrap is no low reading: the next window is compared with the value after it."""
    readings = [NARROW._replace(tx_bytes=10**9 * n % 2**32, tx_packets=10**6 * n) for n in range(1, 12)]
    assert [at(*readings[: n + 1]).tx_mbps for n in range(1, 11)] == [266.67] * 10


def test_only_new_errors_count():
    """Errors that an earlier check has reported are not reported again."""
    more = {"tx_errors": 1, "rx_errors": 2, "tx_drops": 3, "rx_drops": 6, "rx_missed": 5}
    seen = observed(ETH0, later(ETH0, tx_packets=9, rx_packets=8, **more))
    assert seen[3:] == (1, 2, 3, 6, 5, 9, 8, False, False, 1.0, None, None)
    assert (seen.new_drops, seen.new_rx_dropped) == (9, 1)
    assert observed(ETH0, ETH0).new_drops == 0


def test_the_first_window_runs_from_creation():
    """If nothing is known about earlier checks, all errors are reported, with ``since_boot`` set."""
    (seen,) = observe_interfaces(None, None, reading(1, ETH0))
    assert seen == Interface(
        ETH0, None, None, 1, 2, 3, 4, 0, new_tx_packets=1000, new_rx_packets=2000, since_boot=True
    )


def test_a_restarted_monitor_continues_from_the_saved_counters():
    """With saved counters no error is repeated or missed, although there is no rate yet."""
    saved = Counters(0, 0, 900, 2000, 1, 2, 1, 4)
    (seen,) = observe_interfaces(None, {2: Baseline(saved)}, reading(1, ETH0))
    assert seen == Interface(ETH0, None, None, 0, 0, 2, 0, 0, 100, 0)


def test_a_vanished_interface_is_left_out():
    """An interface that is gone is not in the result."""
    assert observe_interfaces(reading(1, ETH0), reported_counters(reading(1, ETH0)), reading(2)) == ()


def test_an_interface_without_counters_is_unknown_not_zero():
    """Without counters there is no rate, and no count of new errors."""
    bare = replace(ETH0, counters=None)
    assert observed(bare, bare) == Interface(bare, *[None] * 9)
    assert observed(ETH0, bare) == Interface(bare, *[None] * 9)
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
READINGS = st.lists(LINKS, unique_by=(lambda link: link.name, lambda link: link.index)).map(tuple)


@given(st.lists(READINGS, min_size=2, max_size=5), st.floats(-10, 100), st.booleans())
def test_nothing_is_ever_negative(readings, seconds, known):
    """Any readings give one result per link, without a negative rate or count."""
    before = LinkReading(0, readings[0])
    for links in readings[1:]:
        after = with_history(before, LinkReading(before.at_s + seconds, links))
        seen = observe_interfaces(before, reported_counters(before) if known else None, after)
        assert [i.link for i in seen] == list(links)
        for i in seen:
            assert min(n or 0 for n in (*rates_and_errors(i), i.new_tx_packets, i.new_rx_packets)) >= 0
        before = after


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
