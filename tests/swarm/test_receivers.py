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
    assert line.startswith(f"No node has the role {DEFAULT!r}; reports go to forensic-9.")


def test_a_node_with_the_role_comes_first(swarm):
    """As soon as one holds the role it gets the reports, and no detective does."""
    swarm.receivers.of(DEFAULT)
    swarm.now_s = SETTLE_S
    swarm.nodes = ["receiver-1"]
    assert swarm.receivers.of(DEFAULT) == ["receiver-1"]
    assert swarm.logged == []


def test_no_detective_gets_reports_of_another_role(swarm):
    """A role that an operator chose is not replaced by a guess; the log says once what to add."""
    for swarm.now_s in (0, SETTLE_S - 1, SETTLE_S, SETTLE_S + 1):
        assert swarm.receivers.of("my.role") == []
    assert swarm.logged == [
        "No node has the role 'my.role'; reports wait until one has it. To choose the receiver, "
        'add to the config of its node: "service-manager": [{"role": ["my.role"]}]'
    ]


def test_every_change_is_logged(swarm):
    """Nobody, a detective, a node with the role, nobody again: one line each."""
    swarm.detectives = []
    for swarm.now_s, nodes, detectives in (
        (0, [], []),
        (SETTLE_S, [], []),
        (SETTLE_S + 1, [], ["forensic-9"]),
        (SETTLE_S + 2, ["receiver-1"], ["forensic-9"]),
        (SETTLE_S + 3, ["receiver-1"], ["forensic-9"]),
        (SETTLE_S + 4, [], []),
        (2 * SETTLE_S + 3, [], []),
    ):
        swarm.nodes, swarm.detectives = nodes, detectives
        swarm.receivers.of(DEFAULT)
        swarm.receivers.of(DEFAULT)
    assert [line.partition(". To choose")[0] for line in swarm.logged] == [
        f"No node has the role {DEFAULT!r}; reports wait until one has it",
        f"No node has the role {DEFAULT!r}; reports go to forensic-9",
        f"The role {DEFAULT!r} now has the nodes receiver-1: reports go there",
        f"No node has the role {DEFAULT!r}; reports wait until one has it",
    ]


def test_a_role_that_comes_late_after_a_boot_is_not_logged(swarm):
    """The framework may need this long to find it."""
    swarm.receivers.of(DEFAULT)
    swarm.now_s, swarm.nodes = SETTLE_S - 1, ["receiver-1"]
    assert swarm.receivers.of(DEFAULT) == ["receiver-1"]
    assert swarm.logged == []
