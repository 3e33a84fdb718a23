"""When a rate is looked up again with the calls of processes, and which answer is reported."""

import pytest

from network_health.attribution.call_crossings import hint_of
from network_health.attribution.call_lookups import CallLookups
from network_health.model import Attribution, Finding

ETH0, ETH1 = (Finding("tx_rate", name, f"{name} outbound 9 Mbps", 9.0, 1.0) for name in ("eth0", "eth1"))
CONNECTIONS = Finding("connections", "host", "High connection count", 9.0, 1.0)
TCP, SAMPLE = Attribution(failure="one"), Attribution(failure="two")


def answer(finding, percent, text="tcp"):
    return finding, (f" ({text})", {"coverage_percent": percent})


class Checks:
    """Checks of one agent; ``sampled`` has the findings of each sample."""

    def __init__(self):
        self.lookups, self.sampled = CallLookups(), []

    def check(self, answers, due=(), percent=90.0):
        """The clauses after one check, whose samples explain ``percent``, and what is known."""

        def look_up(findings):
            self.sampled.append(list(findings))
            return [answer(each, percent, "sample") for each in findings], SAMPLE

        found, known = self.lookups.improved(answers, TCP, due, look_up)
        return {finding.subject: clause for finding, (clause, _) in found}, known


def test_what_tcp_explains_is_not_sampled():
    """Nor is a finding of another kind."""
    checks = Checks()
    given = [answer(ETH0, 50.0), (CONNECTIONS, (" (x)", {}))]
    assert checks.check(given, due=[ETH0]) == ({"eth0": " (tcp)", "host": " (x)"}, TCP)
    assert checks.sampled == []


def test_all_others_are_sampled_together():
    """The answer of the sample is taken if it explains more, with what is known by it."""
    checks = Checks()
    clauses, known = checks.check([answer(ETH0, 49.0), answer(ETH1, 0.0)], due=[ETH0, ETH1])
    assert clauses == {"eth0": " (sample)", "eth1": " (sample)"}
    assert known == Attribution(failure="one; two")
    assert checks.sampled == [[ETH0, ETH1]]


def test_a_sample_that_explains_less():
    """The answer stays; what failed in the sample is reported."""
    assert Checks().check([answer(ETH0, 20.0)], due=[ETH0], percent=10.0) == (
        {"eth0": " (tcp)"},
        Attribution(failure="one; two"),
    )


def test_an_active_alert_is_not_sampled_in_each_check():
    """In between it has no new answer, so its last one stays; when it is due it is sampled again."""
    checks = Checks()
    checks.check([answer(ETH0, 0.0)], due=[ETH0])
    assert checks.check([answer(ETH0, 0.0)]) == ({}, TCP)
    assert checks.check([answer(ETH0, 0.0)], due=[ETH0])[0] == {"eth0": " (sample)"}
    assert checks.sampled == [[ETH0], [ETH0]]


def test_tcp_and_datagrams_in_turns():
    """TCP's answer is taken at once when it explains the rate, and a sample when it no longer does."""
    checks = Checks()
    checks.check([answer(ETH0, 0.0)], due=[ETH0])
    assert checks.check([answer(ETH0, 90.0)])[0] == {"eth0": " (tcp)"}
    assert checks.check([answer(ETH0, 0.0)])[0] == {"eth0": " (sample)"}


@pytest.mark.parametrize(
    ("coverage", "not_tcp", "has_hint"), [(0.0, 50.0, True), (0.0, 49.0, False), (50.0, 50.0, False)]
)
def test_the_hint(coverage, not_tcp, has_hint):
    """It is given if half of the bytes is known to be not TCP, and less than half has a process."""
    evidence = {"coverage_percent": coverage, "not_tcp": {"percent": not_tcp}}
    assert bool(hint_of(evidence)) is has_hint
    assert hint_of({"coverage_percent": 0.0}) == {}
