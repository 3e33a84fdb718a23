"""Whether reports name the right culprit, over many random situations on a real kernel."""

import random
import re
from collections import Counter

import pytest

from tests.scenarios.situations import SITUATIONS, Truth
from tests.scenarios.stage import opened

pytestmark = pytest.mark.root

SEED = 20_040_601
RUNS = 240  # each situation 16 times
MOVE_AFTER = 30
LEAST_RIGHT = 0.95


def judge(details, truth):
    """``right``, ``unnamed``, ``wrong`` (first, but with a small share) or ``slander`` (with a large one)."""
    said = [finding for finding in details.split("; ") if finding.startswith(truth.finding)]
    if not said or not said[0].endswith(")"):
        return "unnamed" if truth.first or not said else "right"
    phrases = re.findall(r"\d+% [^,()]+", said[0].rpartition(" (")[2])
    shares = [(int(phrase.partition("%")[0]), phrase) for phrase in phrases]
    if any(share > 50 and not truth.allows(phrase) for share, phrase in shares):
        return "slander"
    words = phrases[0].split() if phrases else ()
    return "right" if all(word in words for word in truth.first) else "wrong"


def table(verdicts):
    """The confusion table."""
    columns = ["right", "unnamed", "wrong", "slander"]
    lines = [f"{'situation':20}" + "".join(f"{column:>9}" for column in columns)]
    for name in [situation.__name__ for situation in SITUATIONS]:
        lines.append(f"{name:20}" + "".join(f"{verdicts[name, column]:9}" for column in columns))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("details", "verdict"),
    [
        ("High 9 > 5 (81% on :80 owned by a[1], 64% from 10.0.0.7)", "right"),
        ("va is down; High 9 > 5 (81% on :80 owned by a[1]); va outbound 9 > 5 (51% by b[2])", "right"),
        ("High 9 > 5", "unnamed"),
        ("va outbound 9 > 5 (81% on :80 owned by a[1])", "unnamed"),
        ("High 9 > 5 (20% on :81 owned by b[2], 64% from 10.0.0.7)", "wrong"),
        ("High 9 > 5 (50% on :80 owned by b[1])", "wrong"),
        ("High 9 > 5 (81% on :80 owned by a[1], 64% from 10.0.0.8)", "slander"),
        ("High 9 > 5 (81% on :80 owned by b[2])", "slander"),
        ("High 9 > 5 (51% to 10.0.0.7:80 owned by a[1])", "slander"),
    ],
)
def test_the_judge_is_just(details, verdict):
    """What a report says is judged by the words of the first phrase, and by every name with a large share."""
    assert judge(details, Truth("High", ("on", ":80", "a[1]"), {"10.0.0.7"})) == verdict


def test_the_right_culprit_is_named_first(capsys):
    """In at least 95 % of the situations the report names the culprit first, and never somebody else with
    more than half."""
    verdicts, misses = Counter(), []
    with opened() as stage:
        for run in range(RUNS):
            if run % MOVE_AFTER == 0:
                stage.move()
            situation = SITUATIONS[run % len(SITUATIONS)]
            truths = situation(stage, random.Random(SEED + run))
            details = stage.report()["details"]
            stage.clear()
            found = [judge(details, truth) for truth in truths]
            worst = max(found, key=["right", "unnamed", "wrong", "slander"].index)
            verdicts[situation.__name__, worst] += 1
            if worst != "right":
                misses.append(f"{worst}: seed {SEED + run}, {situation.__name__}: {details} | {truths}")
    with capsys.disabled():
        print("", table(verdicts), *misses, sep="\n")
    right = sum(n for (_, verdict), n in verdicts.items() if verdict == "right")
    assert right >= LEAST_RIGHT * RUNS
    assert not [miss for miss in misses if miss.startswith("slander")]
