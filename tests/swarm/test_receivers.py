"""Which nodes get the reports."""

import pytest

from network_health import Settings
from network_health.swarm import receivers
from network_health.swarm.receivers import SETTLE_S, Receivers

DEFAULT = Settings().report_to_role


class Swarm:
    """Nodes of the role, detectives, a clock, and what is logged."""

    def __init__(self, monkeypatch, comm):
        self.nodes, self.detectives, self.now_s, self.logged = [], ["forensic-9"], 0.0, []
        monkeypatch.setattr(receivers, "detective_nodes", lambda comm: self.detectives)
        monkeypatch.setattr(receivers.time, "monotonic", lambda: self.now_s)
        self.receivers = Receivers(lambda role: self.nodes, comm, self.logged.append)


@pytest.fixture
def swarm(monkeypatch, tmp_path):
    """A swarm in which no node holds the role."""
    return Swarm(monkeypatch, tmp_path)


def test_detectives_are_the_receivers_while_no_node_holds_the_default_role(swarm):
    """After the time that roles need to settle, and with one log line."""
    assert swarm.receivers.of(DEFAULT) == []
    swarm.now_s = SETTLE_S
    assert [swarm.receivers.of(DEFAULT), swarm.receivers.of(DEFAULT)] == [["forensic-9"]] * 2
    (line,) = swarm.logged
    assert line.startswith(f"No node holds the role {DEFAULT!r}; reports go to forensic-9.")


def test_a_node_with_the_role_comes_first(swarm):
    """As soon as one holds the role it gets the reports, and no detective does."""
    swarm.now_s = SETTLE_S
    swarm.nodes = ["receiver-1"]
    assert swarm.receivers.of(DEFAULT) == ["receiver-1"]
    assert swarm.logged == []


def test_no_detective_gets_reports_of_another_role(swarm):
    """A role that an operator chose is not replaced by a guess."""
    swarm.now_s = SETTLE_S
    assert swarm.receivers.of("my.role") == []
    assert swarm.logged == []


def test_without_detectives_there_is_no_receiver(swarm):
    """Then reports wait, and nothing is logged here."""
    swarm.now_s, swarm.detectives = SETTLE_S, []
    assert swarm.receivers.of(DEFAULT) == []
    assert swarm.logged == []
