"""An agent's recorder with its log, and what both must say when a history cannot be written."""

import time

from network_health.history import FILE_NAME, Recorder
from tests.checked_host import CheckedHost
from tests.history.kept import rows, times, whole_report

DEADLINE_S = 60


class Agent:
    """A recorder, its log, and a host that is checked."""

    def __init__(self, folder, **config):
        self.host = CheckedHost(**{"history": True, **config})
        self.log, self.warnings = [], []
        self.path = folder / FILE_NAME
        self.recorder = Recorder(folder, self.host.settings, self.log.append, self.warnings.append)
        self.number = 0

    def check(self):
        """Make a check, and wait until it is written or has failed; returns how long adding it took."""
        report = whole_report(self.host, self.number)
        self.number += 1
        started_s = time.monotonic()
        self.recorder.add(report)
        took_s = time.monotonic() - started_s
        self.settle()
        return took_s

    def settle(self):
        """Wait for the thread."""
        found, until_s = self.recorder._writer, time.monotonic() + DEADLINE_S
        while found and time.monotonic() < until_s:
            with found._changed:
                if found.busy_since_s is None and not found._has_new:
                    return
            time.sleep(0.005)

    def end(self):
        """Close the file."""
        self.recorder.close(DEADLINE_S)


def problem_in(agent, reason, checks=3):
    """Make checks while there is a problem; each returns at once, and one line says so."""
    for _ in range(checks):
        assert agent.check() < 1
    assert len(agent.warnings) == 1
    assert reason in agent.warnings[0]
    assert agent.warnings[0].startswith(f"The history {agent.path} is not written: ")
    assert agent.log == []


def solved_in(agent, total, missing="no check is missing"):
    """Two more checks: all are in the file, and one line says that it is written again."""
    agent.check()
    agent.check()
    assert agent.log == [f"The history {agent.path} is written again; {missing}"]
    assert len(agent.warnings) == 1
    assert len(times(agent.path)) == total
    assert rows(agent.path, "PRAGMA integrity_check") == [("ok",)]
