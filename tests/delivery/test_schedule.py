"""The schedule of checks."""

from hypothesis import given
from hypothesis import strategies as st

from network_health.delivery.schedule import Schedule


def test_the_time_a_check_takes_is_not_added():
    """Checks stay due at multiples of the interval although each starts a little late."""
    schedule = Schedule(101.0, 30)
    due = []
    for late in (0.0, 0.4, 0.9, 0.1):
        due.append(schedule.due_s)
        schedule.started(schedule.due_s + late)
    assert due == [101.0, 131.0, 161.0, 191.0]


def test_a_missed_slot_is_skipped():
    """After a long delay one check is due, at the next slot."""
    schedule = Schedule(100.0, 30)
    schedule.started(175.0)
    assert schedule.due_s == 190.0


def test_a_new_interval_counts_from_the_last_start():
    """A change applies to the next check."""
    schedule = Schedule(100.0, 30)
    schedule.started(100.2)
    schedule.change_interval(5)
    assert schedule.due_s == 105.0
    schedule.started(105.0)
    assert schedule.due_s == 110.0


@given(st.floats(0, 1e6), st.integers(1, 86400), st.lists(st.floats(0, 1e5), max_size=30))
def test_it_is_always_due_within_an_interval(first, interval, lateness):
    """With any delays, the next check is due in the future and at most one interval away."""
    schedule = Schedule(first, interval)
    for late in lateness:
        now = schedule.due_s + late
        schedule.started(now)
        assert now < schedule.due_s <= now + interval + 1e-6
