"""Tests that reports name the right culprit in many random scenarios on a real kernel."""

import random
from collections import Counter
from functools import partial

import pytest

from tests.scenarios import connections, containers, holders, links, losses, other_bytes, rates
from tests.scenarios.container_testbed import ContainerTestbed
from tests.scenarios.expected import NEVER, RESULTS, classify, false_culprits, miscounted
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
    untrue = false_culprits(content, expected, moved)
    wrong_sums = miscounted(content, moved, LOWEST_LINKS) if counts_bytes else []
    results = [classify(content["details"], each) for each in expected]
    results += ["false_culprit"] * bool(untrue) + ["miscounted"] * bool(wrong_sums)
    worst = max(results, key=RESULTS.index)
    missed = [
        f"expected {each.finding!r}: {each.first} {each.says}"
        for each, result in zip(expected, results, strict=False)
        if result != "right"
    ]
    failure = [content["metrics"].get("culprits", {}).get("failure", "")]
    return worst, "\n  ".join(filter(None, (content["details"], *missed, *untrue, *wrong_sums, *failure)))


def run_all(situations, *, counts_bytes=False, prepare=lambda network: None, opened=opened):
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
    lines = [f"{'situation':34}" + "".join(f"{result:>14}" for result in RESULTS)]
    for name in [situation.__name__ for situation in situations]:
        lines.append(f"{name:34}" + "".join(f"{counts[name, result]:14}" for result in RESULTS))
    return "\n".join(lines)


def require_right(capsys, situations, **options):
    """Run situations, print the results, and fail if too many are not right."""
    counts, misses = run_all(situations, **options)
    shown = "\n".join(["", table(situations, counts), *misses])
    with capsys.disabled():
        print(shown)
    right = sum(n for (_, result), n in counts.items() if result == "right")
    assert right >= MIN_RIGHT * counts.total(), shown
    assert not [kind for kind in counts if kind[1] in NEVER], shown


@pytest.mark.parametrize(
    "group", [losses, rates, links, connections, holders], ids=lambda group: group.__name__.rpartition(".")[2]
)
def test_the_right_culprit_is_named_first(group, capsys):
    """In 95 % of the runs the report names the culprit first; no process is blamed for what it did not do."""
    require_right(capsys, group.SITUATIONS, counts_bytes=group is links)


@pytest.mark.parametrize("group", [containers, other_bytes], ids=["containers", "other_bytes"])
def test_containers(group, capsys):
    """The same with containers, datagrams, bursts, and with bytes that the host only forwards."""
    require_right(capsys, group.SITUATIONS, opened=partial(opened, ContainerTestbed))


@pytest.mark.parametrize("kind", KINDS)
def test_links_that_not_every_kernel_has(kind, capsys):
    """The same with a bond, a VLAN on a bond, a tunnel and a lossy link."""
    if reason := KINDS[kind].missing_reason():
        pytest.skip(f"this kernel has no {kind}: {reason}")
    require_right(capsys, KINDS[kind].situations, counts_bytes=kind != "netem", prepare=KINDS[kind].prepare)
