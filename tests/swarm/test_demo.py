"""The demonstration shows reports in the order of time; its swarm and connections are replaced here."""

import contextlib
import io
import time

import pytest

from network_health.swarm import demo
from network_health.swarm.errors import SwarmError

CLOSED = "\nThe connections are closed.\n\n"


def report(severity, age_s=0.0):
    """A report of a check that began so many seconds ago."""
    details = "High connection count: 4001 > 1001" if severity == "WARNING" else "within bounds"
    return {"severity": severity, "details": details, "metrics": {}, "timestamp": time.time() - age_s}


class Inbox:
    """Returns the next reports at each call; each is made when it is received."""

    def __init__(self, *batches):
        self._batches = list(batches)

    def received(self):
        """The next reports."""
        return [make() for make in self._batches.pop(0)] if self._batches else []


def shown(monkeypatch, *last):
    """What is written after the warning, with these reports arriving after the connections are closed."""
    monkeypatch.setattr(demo, "Breach", contextlib.nullcontext)
    out = io.StringIO()
    inbox = Inbox([lambda: report("INFO")], [lambda: report("WARNING")], *last)
    demo._show(demo._Screen(out), inbox, 1001, 1)
    text = out.getvalue().partition("Opening 2000 loopback connections; the limit is 1001 sockets.\n\n")[2]
    lines = [line if line in CLOSED else line.split()[1] for line in text.splitlines()]
    return [line for line in lines if line]


def info():
    """A report without a breach."""
    return report("INFO")


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ([[info]], ["WARNING", CLOSED.strip(), "INFO"]),
        ([[lambda: report("WARNING", 1)], [info]], ["WARNING", "WARNING", CLOSED.strip(), "INFO"]),
        ([[lambda: report("WARNING", -1)], [info]], ["WARNING", CLOSED.strip(), "WARNING", "INFO"]),
        ([[lambda: report("INFO", 1)]], ["WARNING", CLOSED.strip(), "INFO"]),
    ],
    ids=["none under way", "a warning under way", "a later warning", "counted after the end"],
)
def test_reports_are_in_the_order_of_time(monkeypatch, last, expected):
    """A warning that was under way when the connections were closed is shown before the line that says so."""
    assert shown(monkeypatch, *last) == expected


def test_a_report_that_does_not_come(monkeypatch):
    """After the deadline the error says what was not received."""
    monkeypatch.setattr(demo, "_REPORT_S", 0.1)
    with pytest.raises(SwarmError, match="the return to healthy did not reach forensic-1 within 0 s"):
        shown(monkeypatch)
