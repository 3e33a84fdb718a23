"""Tests that reports name the right culprit in many random scenarios on a real kernel."""

import random
from collections import Counter

import pytest

from tests.scenarios import connections, holders, links, losses, rates
from tests.scenarios.expected import RESULTS, Expected, Moved, accusations, classify, miscounted
from tests.scenarios.network import LOWEST_LINKS
from tests.scenarios.other_links import KINDS
from tests.scenarios.testbed import opened

pytestmark = pytest.mark.root

SEED = 20_040_601
#: Of each situation.
RUNS = 6
RUNS_PER_NETWORK = 30
#: So many reports of a situation and a result are shown.
SHOWN = 2
MIN_RIGHT = 0.95


def result_of(content, expected, moved, *, counts_bytes):
    """One of `RESULTS` for a whole report, and why it is not right."""
    accused = accusations(content, expected, moved)
    wrong_sums = miscounted(content, moved, LOWEST_LINKS) if counts_bytes else []
    results = [classify(content["details"], each) for each in expected]
    results += ["accused"] * bool(accused) + ["miscounted"] * bool(wrong_sums)
    worst = max(results, key=RESULTS.index)
    missed = [
        f"expected {each.finding!r}: {each.first} {each.says}"
        for each, result in zip(expected, results, strict=False)
        if result != "right"
    ]
    failure = [content["metrics"].get("culprits", {}).get("failure", "")]
    return worst, "\n  ".join(filter(None, (content["details"], *missed, *accused, *wrong_sums, *failure)))


def run_all(situations, *, counts_bytes=False, prepare=lambda network: None):
    """The number of results by situation and kind, and texts of those that are not right."""
    counts, misses = Counter(), []
    with opened() as testbed:
        for run in range(RUNS * len(situations)):
            if run % RUNS_PER_NETWORK == 0:
                testbed.renew_network()
                prepare(testbed.network)
            situation = situations[run % len(situations)]
            expected = situation(testbed, random.Random(SEED + run))
            content = testbed.report()
            result, why = result_of(content, expected, testbed.moved, counts_bytes=counts_bytes)
            testbed.reset()
            counts[situation.__name__, result] += 1
            if result != "right" and counts[situation.__name__, result] <= SHOWN:
                misses.append(f"{result}: {situation.__name__}, seed {SEED + run}\n  {why}")
    return counts, misses


def table(situations, counts):
    """The results of each situation."""
    lines = [f"{'situation':34}" + "".join(f"{result:>11}" for result in RESULTS)]
    for name in [situation.__name__ for situation in situations]:
        lines.append(f"{name:34}" + "".join(f"{counts[name, result]:11}" for result in RESULTS))
    return "\n".join(lines)


def require_right(capsys, situations, **options):
    """Run situations, print the results, and fail if too many are not right."""
    counts, misses = run_all(situations, **options)
    with capsys.disabled():
        print("", table(situations, counts), *misses, sep="\n")
    right = sum(n for (_, result), n in counts.items() if result == "right")
    assert right >= MIN_RIGHT * counts.total()
    assert not [kind for kind in counts if kind[1] in {"miscounted", "misleading", "accused"}]


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
    ("details", "accused"),
    [
        ("High 9 > 5 (81% on :80 owned by a[1], 10% opened by b[2])", False),
        ("High 9 > 5 (81% on :80 owned by a[1], 11% opened by b[2])", True),
        ("High 9 > 5 (40% owned by c[3])", False),
        ("High 9 > 5 (41% owned by c[3])", True),
        ("High 9 > 5 (60% owned by c[3] or d[4])", False),
        ("High 9 > 5 (60% owned by c[3] or 2 others that share its sockets)", False),
        ("va outbound 9 > 5 (60% by a[1] to 10.0.0.9:80)", False),
        ("va outbound 9 > 5 (61% by a[1] to 10.0.0.9:80)", True),
        ("va inbound 9 > 5 (61% from 10.0.0.9:80)", False),
        ("va inbound 9 > 5 (11% by a[1] from 10.0.0.9:80)", True),
    ],
)
def test_accusations(details, accused):
    """A process may be given a tenth more than it had, never more."""
    expected = Expected("High", ("on", ":80", "a[1]"), shares={"c[3]": 30.0, "d[4]": 20.0})
    moved = Moved(Counter({("va", "outbound", "a[1]"): 500}), {"va": {"outbound": 1000, "inbound": 1000}})
    content = {"details": details, "metrics": {}}
    assert bool(accusations(content, [expected], moved)) is accused


@pytest.mark.parametrize(
    "group", [losses, rates, links, connections, holders], ids=lambda group: group.__name__.rpartition(".")[2]
)
def test_the_right_culprit_is_named_first(group, capsys):
    """In 95 % of the runs the report names the culprit first; no process is blamed for what it did not do."""
    require_right(capsys, group.SITUATIONS, counts_bytes=group is links)


@pytest.mark.parametrize("kind", KINDS)
def test_links_that_not_every_kernel_has(kind, capsys):
    """The same with a bond, a VLAN on a bond, a tunnel and a lossy link."""
    if reason := KINDS[kind].missing_reason():
        pytest.skip(f"this kernel has no {kind}: {reason}")
    require_right(capsys, KINDS[kind].situations, counts_bytes=kind != "netem", prepare=KINDS[kind].prepare)
