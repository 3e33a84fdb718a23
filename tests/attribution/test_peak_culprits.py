"""The culprits of the highest second of a rate."""

import pytest

from network_health.attribution.peak_culprits import of_peak
from network_health.attribution.traffic_window import Window
from network_health.model import Finding

FINDING = Finding("tx_rate", "eth0", "eth0 outbound peak 999.33 Mbps > 100 Mbps", 999.33, 100)
EVIDENCE = {"iface": "eth0", "direction": "outbound", "bytes": 187_500_000, "processes": [{"pid": 77}]}
FOUND = " (97% by app[77] to 10.0.0.9:873)", EVIDENCE


def window(seconds, *, is_sample):
    return Window(seconds, (), (), True, {}, is_sample=is_sample)


@pytest.mark.parametrize(
    ("found", "clause"), [(FOUND[0], " (97% by app[77] to 10.0.0.9:873, of all bytes in 30 s)"), ("", "")]
)
def test_shares_of_a_longer_time_are_said_to_be_so(found, clause):
    """The bytes since the previous check are known, but not those of the second."""
    culprits = of_peak(FINDING, (found, EVIDENCE), 50.0, window(30, is_sample=False))
    assert culprits == (clause, EVIDENCE | {"note": "of all bytes in 30 s"})


def test_nobody_is_named_for_a_burst_that_is_over():
    """What the sockets carry after the burst says nothing about it."""
    evidence = EVIDENCE | {"bytes": 12_500_000}
    assert of_peak(FINDING, (FOUND[0], evidence), 50.0, window(1, is_sample=True)) == (
        " (ended before its connections were read)",
        evidence | {"processes": [], "note": "ended before its connections were read"},
    )


@pytest.mark.parametrize(
    ("average_mbps", "is_sample"), [(50.0, True), (100.01, True), (100.01, False), (None, False)]
)
def test_a_breach_that_lasts_has_the_culprits_that_were_found(average_mbps, is_sample):
    """While the sample is taken, or on average since the previous check."""
    assert of_peak(FINDING, FOUND, average_mbps, window(1, is_sample=is_sample)) == FOUND
