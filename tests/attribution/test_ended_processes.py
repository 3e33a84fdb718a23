"""A clause that is kept does not name a process that has ended or has closed its sockets, or another one."""

import pytest

from network_health.attribution.kept_answers import KeptAnswers
from network_health.model import Finding

#: What the lookup knows of the processes that a clause names.
APP = {"ports": [{"pid": 7, "name": "app"}]}
APP_AND_FLOOD = {"ports": [{"pid": 7, "name": "app", "opened_by": {"pid": 8, "name": "flood"}}]}
FLOOD = Finding("connections", "host", "High connection count: 9 > 5", 9, 5)


def kept_with(processes):
    """The answers of a lookup at 0 s; ``processes`` has start times by pid."""
    kept = KeptAnswers(processes.get)
    kept.keep([(FLOOD, (" (100% on :80 owned by app[7], 50% opened by flood[8])", APP_AND_FLOOD))], 0)
    return kept


def clause(kept, at_s):
    return kept.applied([FLOOD], at_s)[0][0].culprit


def test_the_culprit_is_looked_up_when_a_named_process_has_ended():
    """At once the first time, also if another process has its pid; then after the refresh time."""
    processes = {7: 100.0, 8: 200.0}
    kept = kept_with(processes)
    assert kept.due([FLOOD], 300, 30) == ()
    processes[8] = 300.0
    assert kept.due([FLOOD], 300, 30) == (FLOOD,)
    kept.keep([(FLOOD, (" (100% on :80 owned by app[7])", APP))], 30)
    assert kept.due([FLOOD], 300, 60) == ()
    del processes[7]
    assert [len(kept.due([FLOOD], 300, at_s)) for at_s in (60, 329, 330)] == [0, 0, 1]


def test_the_clause_has_no_pid_of_a_process_that_has_ended():
    """It may be the pid of another process by now; that of a process that runs stays."""
    processes = {7: 100.0, 8: 200.0}
    kept = kept_with(processes)
    assert clause(kept, 30) == " (100% on :80 owned by app[7], 50% opened by flood[8])"
    processes[8] = 300.0
    assert clause(kept, 30) == " (100% on :80 owned by app[7], 50% opened by flood (ended))"


def test_a_process_that_ended_during_the_lookup_has_ended():
    """Whoever gets its pid is not meant."""
    processes = {7: 100.0}
    kept = kept_with(processes)
    processes[8] = 300.0
    assert clause(kept, 30) == " (100% on :80 owned by app[7], 50% opened by flood (ended))"


@pytest.mark.parametrize(
    ("before", "now", "is_due"),
    [(60, 31, False), (60, 30, True), (60, 90, False), (None, 5, False), (60, None, False)],
)
def test_the_culprit_is_looked_up_when_a_named_process_has_closed_half(before, now, is_due):
    """Its sockets may be among its descriptors, and others may have opened as many."""
    descriptors = {7: before, 8: 20}
    kept = KeptAnswers(descriptors_of=descriptors.get)
    kept.keep([(FLOOD, (" (100% on :80 owned by app[7], 50% opened by flood[8])", APP_AND_FLOOD))], 0)
    descriptors[7] = now
    assert bool(kept.due([FLOOD], 300, 30)) is is_due


def test_a_pid_that_is_a_part_of_a_name_is_not_a_process():
    """A process chooses its name: that of another one in it is neither watched nor replaced."""
    kept = KeptAnswers({7: 100.0}.get)
    kept.keep([(FLOOD, (" (100% on :80 owned by app[99][7])", APP))], 0)
    assert kept.due([FLOOD], 300, 30) == ()
    assert clause(kept, 30) == " (100% on :80 owned by app[99][7])"
