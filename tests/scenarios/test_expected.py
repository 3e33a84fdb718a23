"""Tests of what counts as right, as wrong, or as a false culprit."""

from collections import Counter

import pytest

from tests.scenarios.expected import Expected, Moved, classify, false_culprits, miscounted

EXPECTED = Expected("High", ("on", ":80", "a[1]"), {"10.0.0.7"})


@pytest.mark.parametrize(
    ("details", "result"),
    [
        ("High 9 > 5 (81% on :80 owned by a[1], 64% from 10.0.0.7)", "right"),
        ("va is down; High 9 > 5 (81% on :80 owned by a[1]); va outbound 9 > 5 (51% by b[2])", "right"),
        ("High 9 > 5", "unnamed"),
        ("va outbound 9 > 5 (81% on :80 owned by a[1])", "unnamed"),
        ("High 9 > 5 (20% on :81 owned by b[2], 64% from 10.0.0.7)", "wrong"),
        ("High 9 > 5 (50% on :80 owned by b[1])", "wrong"),
        ("High 9 > 5 (81% on :80 owned by a[1], 64% from 10.0.0.8)", "misleading"),
        ("High 9 > 5 (81% on :80 owned by b[2])", "misleading"),
        ("High 9 > 5 (51% to 10.0.0.7:80 owned by a[1])", "misleading"),
        ("High 9 > 5 (81% on :80 owned by a[1] and 3 others)", "right"),
    ],
)
def test_classify(details, result):
    """The words of the first phrase decide, and every name with a large share."""
    assert classify(details, EXPECTED) == result


@pytest.mark.parametrize(
    ("details", "is_false"),
    [
        ("High 9 > 5 (81% on :80 owned by a[1], 10% opened by b[2])", False),
        ("High 9 > 5 (81% on :80 owned by a[1], 11% opened by b[2])", True),
        ("High 9 > 5 (40% owned by c[3])", False),
        ("High 9 > 5 (41% owned by c[3])", True),
        ("High 9 > 5 (60% owned by c[3] or d[4])", False),
        ("High 9 > 5 (60% owned by c[3] or 2 others)", False),
        ("va outbound 9 > 5 (60% by a[1] to 10.0.0.9:80)", False),
        ("va outbound 9 > 5 (61% by a[1] to 10.0.0.9:80)", True),
        ("va outbound 9 > 5 (99% by a[1] or another process to 10.0.0.9:80)", False),
        ("va inbound 9 > 5 (61% from 10.0.0.9:80)", False),
        ("va inbound 9 > 5 (11% by a[1] from 10.0.0.9:80)", True),
    ],
)
def test_false_culprits(details, is_false):
    """A process may be given a tenth more than it had, never more."""
    expected = Expected("High", ("on", ":80", "a[1]"), shares={"c[3]": 30.0, "d[4]": 20.0})
    moved = Moved(Counter({("va", "outbound", "a[1]"): 500}), {"va": {"outbound": 1000, "inbound": 1000}})
    content = {"details": details, "metrics": {}}
    assert bool(false_culprits(content, [expected], moved)) is is_false


@pytest.mark.parametrize(
    ("unattributed", "is_right"), [(500_000, True), (600_000, False), (400_000, False), (1_000_000, False)]
)
def test_miscounted(unattributed, is_right):
    """All processes and what is unattributed add up to what the lowest links carried, within a tenth."""
    entries = [
        {"net_tx_bytes": 100_000, "net_rx_bytes": 0},
        {"net_tx_bytes": unattributed, "net_rx_bytes": 0},
    ]
    carried = {"va": {"outbound": 400_000, "inbound": 0}, "vc": {"outbound": 200_000, "inbound": 0}}
    moved = Moved(carried=carried | {"br0": {"outbound": 300_000, "inbound": 0}})
    assert (miscounted({"metrics": {"top_network": entries}}, moved, ("va", "vc")) == []) is is_right
