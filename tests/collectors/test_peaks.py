"""Tests of the highest second of each interface between two checks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.collectors.counters import with_history
from network_health.collectors.interfaces import observe_interfaces
from network_health.collectors.peaks import LONGEST_SECOND_S, Peaks
from network_health.model import CounterReading, Counters, Link, LinkReading

MBPS = 125_000
START = Counters(5 * 10**12, 9 * 10**12, 4 * 10**9, 7 * 10**9)


def reading(at_s, *counters, **link):
    """The links with index 2, 3, ... and these counters; ``None`` is a link that does not exist."""
    numbered = enumerate(counters, 2)
    links = (Link(f"eth{i}", True, i, counters=each, **link) for i, each in numbered if each)
    return LinkReading(at_s, tuple(links), until_s=at_s)


def sample(at_s, *counters):
    """The same, read between two checks."""
    return CounterReading(at_s, at_s, {i: each for i, each in enumerate(counters, 2) if each})


def sent(mbit, start=START):
    """Counters after so many megabits were sent."""
    return start._replace(tx_bytes=start.tx_bytes + mbit * MBPS)


def peaks(before, samples, after):
    """The averages and peaks of the interfaces: (tx, rx, tx peak, rx peak)."""
    found = Peaks(before)
    for each in samples:
        found.add(each)
    seen = found.finish(after, observe_interfaces(before, {}, after))
    return [(each.tx_mbps, each.rx_mbps, each.tx_peak_mbps, each.rx_peak_mbps) for each in seen]


def test_a_burst_between_two_checks_is_seen():
    """1,000 Mbps for 1.5 s are 50 Mbps on average over 30 s, and the highest second has 1,000."""
    total = [0] * 10 + [500] + [1500] * 19
    samples = [sample(second, sent(total[second])) for second in range(1, 30)]
    assert peaks(reading(0, START), samples, reading(30, sent(1500))) == [(50.0, 0.0, 1000.0, 0.0)]


@pytest.mark.parametrize(
    ("seconds", "peak"), [(1, 8.0), (LONGEST_SECOND_S, 4.0), (LONGEST_SECOND_S + 0.1, None), (30, None)]
)
def test_a_window_without_samples(seconds, peak):
    """A window that is itself about a second has the peak of that second; a longer one has none."""
    ((average, _, found, _),) = peaks(reading(0, START), [], reading(seconds, sent(8)))
    assert (average, found) == (round(8 / seconds, 2), peak)


def test_a_short_second_counts_with_the_one_before():
    """Neither a sample nor a check right after a sample makes a rate of a tenth of a second."""
    samples = [sample(1, sent(0)), sample(1.1, sent(100)), sample(2, sent(100))]
    assert peaks(reading(0, START), samples, reading(2.5, sent(150))) == [(60.0, 0.0, 100.0, 0.0)]


def test_a_second_lasts_to_the_end_of_the_later_reading():
    """A reading that took long makes a rate too low, never too high."""
    late = CounterReading(1, 2, {2: sent(200)})
    assert peaks(reading(0, START), [late], reading(3, sent(200))) == [(66.67, 0.0, 100.0, 0.0)]


@pytest.mark.parametrize(
    "values",
    [
        [(START, Counters()), (START, Counters())],
        [(START, Counters()), (START, sent(1))],
        [(START, None), (START, START)],
        [(START, sent(-1)), (START, sent(1))],
    ],
    ids=["reset", "low for one sample", "away for one sample", "a little lower for one sample"],
)
def test_a_counter_that_went_back_has_no_peak(values):
    """Whatever it counts afterwards; the other interface has its own peak."""
    (_, one), (_, two) = values
    samples = [sample(1, sent(3), one), sample(2, sent(4), two)]
    seen = peaks(reading(0, START, START), samples, reading(3, sent(5), two))
    assert [each[2:] for each in seen] == [(3.0, 0.0), (None, None)]


def test_a_counter_that_returns_in_the_next_window_has_no_peak():
    """Its increase from the low value is no burst."""
    before = with_history(reading(0, START), reading(30, Counters()))
    samples = [sample(31, Counters()), sample(32, sent(1))]
    assert peaks(before, samples, reading(33, sent(2))) == [(None, None, None, None)]


def test_a_counter_of_32_bits_that_wrapped():
    """It has its true peak, as it has its true average."""
    low, high = Counters(1000, 0, 1100, 0), Counters((1 << 32) - 124_000, 0, 1000, 0)
    assert peaks(reading(0, high), [sample(1, low)], reading(2, low)) == [(0.5, 0.0, 1.0, 0.0)]


def test_a_new_interface_has_no_peak():
    """As it has no average."""
    samples = [sample(1, START), sample(2, START, sent(9))]
    seen = peaks(reading(0, START), samples, reading(3, START, sent(99)))
    assert seen == [(0.0, 0.0, 0.0, 0.0), (None, None, None, None)]


def test_no_peak_above_the_link_speed():
    """The counters were updated late: the average is known, the peak is not."""
    samples = [sample(1, sent(0)), sample(2, sent(1900))]
    seen = peaks(reading(0, START), samples, reading(3, sent(1900), kind="", speed_mbps=1000))
    assert seen == [(633.33, 0.0, None, 0.0)]


@given(st.lists(st.tuples(st.floats(0.01, 3), st.integers(0, 10**9)), min_size=1, max_size=20))
def test_a_peak_is_between_the_average_and_all_bytes_in_one_second(seconds):
    """Whenever samples are made, and whatever they count."""
    at_s, counters, samples = 0.0, START, []
    for pause_s, octets in seconds:
        at_s += pause_s
        counters = counters._replace(tx_bytes=counters.tx_bytes + octets)
        samples.append(sample(at_s, counters))
    after = reading(at_s + 1, counters)
    ((average, _, peak, _),) = peaks(reading(0, START), samples, after)
    total = sum(octets for _, octets in seconds)
    assert peak is not None
    assert average <= peak <= max(average, round(total * 8 / 0.9 / 1e6, 2))
