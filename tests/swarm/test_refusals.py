"""Refused packets are logged at a bounded rate."""

import pytest

from network_health.swarm.refusals import COUNT_EVERY_S, MAX_SENDERS, Refusals


class Log:
    """Refusals with a clock of their own; ``lines`` is what they log."""

    def __init__(self):
        self.now_s, self.lines = 0.0, []
        self.refusals = Refusals(self.lines.append, lambda: self.now_s)


@pytest.fixture
def log():
    """Nothing was refused yet."""
    return Log()


def test_the_first_of_each_sender_is_logged_then_a_count_every_minute(log):
    """A thousand packets of two senders are four lines."""
    for _ in range(500):
        log.refusals.add("Command", "'a'", "it is not known.")
        log.refusals.add("Command", "'b'", "it is not known either.")
    assert log.lines == ["Command refused: it is not known.", "Command refused: it is not known either."]
    log.lines.clear()
    log.now_s = COUNT_EVERY_S
    log.refusals.log_counts()
    log.refusals.log_counts()
    assert log.lines == [
        "Command refused: 499 more from 'a' in 60 s",
        "Command refused: 499 more from 'b' in 60 s",
    ]


def test_many_senders_are_counted_together(log):
    """Names that anybody can invent do not fill the log."""
    for number in range(10_000):
        log.refusals.add("Command", f"'{number}'", "it is not known.")
    assert len(log.lines) == MAX_SENDERS + 1
    log.now_s = COUNT_EVERY_S
    log.refusals.log_counts()
    assert log.lines[MAX_SENDERS + 1 :] == [
        f"Command refused: {10_000 - MAX_SENDERS - 1} more from other senders in 60 s"
    ]
