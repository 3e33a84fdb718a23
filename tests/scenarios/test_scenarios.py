"""Tests that reports name the right culprit in many random scenarios on a real kernel."""

import random
import re
from collections import Counter

import pytest

from tests.scenarios.scenarios import SCENARIOS, Expected
from tests.scenarios.testbed import opened

pytestmark = pytest.mark.root

SEED = 20_040_601
RUNS = 240  # each scenario 16 times
RUNS_PER_NAMESPACE = 30
MIN_RIGHT = 0.95
RESULTS = ["right", "unnamed", "wrong", "misleading"]  # the worst last


def classify(details, expected):
    """One of `RESULTS`: ``wrong`` names another culprit first, ``misleading`` with more than half."""
    findings = [finding for finding in details.split("; ") if finding.startswith(expected.finding)]
    if not findings or not findings[0].endswith(")"):
        return "unnamed" if expected.first or not findings else "right"
    phrases = re.findall(r"\d+% [^,()]+", findings[0].rpartition(" (")[2])
    shares = [(int(phrase.partition("%")[0]), phrase) for phrase in phrases]
    if any(share > 50 and not expected.allows(phrase) for share, phrase in shares):
        return "misleading"
    words = phrases[0].split() if phrases else ()
    return "right" if all(word in words for word in expected.first) else "wrong"


def table(counts):
    """The results of each scenario."""
    lines = [f"{'scenario':20}" + "".join(f"{result:>11}" for result in RESULTS)]
    for name in [scenario.__name__ for scenario in SCENARIOS]:
        lines.append(f"{name:20}" + "".join(f"{counts[name, result]:11}" for result in RESULTS))
    return "\n".join(lines)


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
    ],
)
def test_classify(details, result):
    """The words of the first phrase decide, and every name with a large share."""
    assert classify(details, Expected("High", ("on", ":80", "a[1]"), {"10.0.0.7"})) == result


def test_the_right_culprit_is_named_first(capsys):
    """In 95 % of the runs the report names the culprit first, and never another one with more than half."""
    counts, misses = Counter(), []
    with opened() as testbed:
        for run in range(RUNS):
            if run % RUNS_PER_NAMESPACE == 0:
                testbed.renew_namespaces()
            scenario = SCENARIOS[run % len(SCENARIOS)]
            expected = scenario(testbed, random.Random(SEED + run))
            details = testbed.report()["details"]
            testbed.reset()
            worst = max((classify(details, each) for each in expected), key=RESULTS.index)
            counts[scenario.__name__, worst] += 1
            if worst != "right":
                misses.append(f"{worst}: seed {SEED + run}, {scenario.__name__}: {details} | {expected}")
    with capsys.disabled():
        print("", table(counts), *misses, sep="\n")
    right = sum(n for (_, result), n in counts.items() if result == "right")
    assert right >= MIN_RIGHT * RUNS
    assert not [miss for miss in misses if miss.startswith("misleading")]
