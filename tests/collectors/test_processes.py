"""Tests of the ranking of processes from two readings."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.collectors.processes import process_candidates, top_processes
from network_health.model import ProcessDetails, ProcessReading, ProcessSample, RankedProcess


def sample(pid, cpu_s=0.0, rss=0, started=1.0):
    return ProcessSample(pid, f"p{pid}", started, cpu_s, rss)


def cpu(before, after, seconds=2.0):
    (seen,) = process_candidates(ProcessReading(10, before), ProcessReading(10 + seconds, (after,)), 1)
    return seen.cpu_percent


@pytest.mark.parametrize(
    ("before", "after", "percent"),
    [
        ((sample(1, 5.0),), sample(1, 5.0), 0.0),
        ((sample(1, 5.0),), sample(1, 6.0), 50.0),
        ((sample(1, 5.0),), sample(1, 9.0), 200.0),
        ((sample(1, 5.0),), sample(1, 5.0123), 0.6),
        ((), sample(1, 1.0), 50.0),
        ((sample(1, 5.0),), sample(1, 1.0, started=2.0), 50.0),
        ((sample(1, None),), sample(1, 5.0), None),
        ((sample(1, 5.0),), sample(1, None), None),
    ],
    ids=["idle", "half", "two CPUs", "one decimal", "new", "pid reused", "was unread", "unread"],
)
def test_cpu_is_the_share_of_one_cpu_in_the_window(before, after, percent):
    """The share is CPU seconds over wall seconds; a process with another start is another process."""
    assert cpu(before, after) == percent


@pytest.mark.parametrize("seconds", [0, -1])
def test_no_share_over_no_time(seconds):
    """Without a window the CPU share is unknown."""
    assert cpu((sample(1, 1.0),), sample(1, 2.0), seconds) is None
    (seen,) = process_candidates(None, ProcessReading(1, (sample(1, 5.0),)), 1)
    assert seen.cpu_percent is None


def ranked(pid, percent=0.0, rss=0):
    return RankedProcess(sample(pid, rss=rss), percent)


def shortlist(rows, count):
    """The candidates among (pid, CPU seconds, rss), in a window of 1 s: 0.01 s is 1 %."""
    before = ProcessReading(0, tuple(sample(pid) for pid, _, _ in rows))
    after = ProcessReading(1, tuple(sample(pid, cpu_s, rss) for pid, cpu_s, rss in rows))
    return process_candidates(before, after, count)


def pids(processes):
    return [p.sample.pid for p in processes]


def test_cpu_before_memory_before_bytes_written_before_pid():
    """Processes are listed in this order, and an unknown value counts as 0."""
    processes = [ranked(6), ranked(5), ranked(4), ranked(3, 0.0, 9), ranked(2, 1.0), ranked(1, None)]
    details = {n: ProcessDetails(write_bytes=100 if n == 6 else None) for n in range(1, 7)}
    assert pids(top_processes(processes, details, 6)) == [2, 3, 6, 1, 4, 5]


def test_the_candidates_are_all_that_could_make_the_list():
    """The candidates are the listed processes and all that tie with the last of them."""
    rows = [(1, 0.09, 0), (2, 0.01, 5), (3, 0.01, 5), (4, 0.01, 5), (5, 0.0, 0)]
    assert pids(shortlist(rows, 2)) == [1, 2, 3, 4]
    assert pids(shortlist(rows, 1)) == [1]
    assert shortlist(rows, 0) == ()
    assert len(shortlist(rows, 99)) == 5
    assert shortlist([], 5) == ()


def test_a_process_that_vanished_meanwhile_is_left_out():
    """A process without details is not listed."""
    assert pids(top_processes([ranked(1), ranked(2)], {2: ProcessDetails()}, 2)) == [2]


@given(
    st.lists(st.tuples(st.sampled_from([None, 0.0, 0.01]), st.sampled_from([0, 5]), st.integers(0, 2))),
    st.integers(0, 8),
    st.randoms(),
)
def test_choosing_candidates_first_changes_nothing(rows, count, shuffle: random.Random):
    """The list made from the candidates equals the list made from all, whatever their order."""
    processes = [(pid, cpu_s, rss) for pid, (cpu_s, rss, _) in enumerate(rows)]
    details = {pid: ProcessDetails(write_bytes=written) for pid, (_, _, written) in enumerate(rows)}
    best = top_processes(shortlist(processes, len(rows)), details, count)
    shuffle.shuffle(processes)
    assert top_processes(shortlist(processes, count), details, count) == best
    assert len(best) == min(count, len(rows))


def test_details_are_kept_with_the_process():
    """A listed process has the details that were read for it."""
    details = ProcessDetails("name", 1, 2, "root", "prog")
    assert top_processes([ranked(1)], {1: details}, 1) == (replace(ranked(1), details=details),)
