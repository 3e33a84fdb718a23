"""Which nodes get the reports."""

import pytest

from network_health import Settings
from network_health.swarm import MATRIXOS, MATRIXSWARM, receivers
from network_health.swarm.receivers import SETTLE_S, Receivers

DEFAULT, HANDLER = Settings().report_to_role, Settings().report_handler


class Swarm:
    """Nodes of the role, detectives, a clock, and what is logged."""

    def __init__(self, monkeypatch, comm, framework=MATRIXSWARM):
        self.nodes, self.detectives, self.now_s, self.logged = [], ["forensic-9"], 0.0, []
        self.handlers = {}
        monkeypatch.setattr(receivers, "detective_nodes", lambda comm: self.detectives)
        monkeypatch.setattr(receivers.time, "monotonic", lambda: self.now_s)
        self.receivers = Receivers(
            framework, lambda role: dict.fromkeys(self.nodes) | self.handlers, comm, self.logged.append
        )

    def of(self, role):
        """The receivers of the role."""
        return self.receivers.of(role, HANDLER)


@pytest.fixture
def swarm(monkeypatch, tmp_path):
    """A swarm in which no node holds the role."""
    return Swarm(monkeypatch, tmp_path)


def test_detectives_are_the_receivers_while_no_node_holds_the_default_role(swarm):
    """After the time that roles need to settle, and with one log line."""
    assert swarm.of(DEFAULT) == []
    swarm.now_s = SETTLE_S
    assert [swarm.of(DEFAULT), swarm.of(DEFAULT)] == [["forensic-9"]] * 2
    (line,) = swarm.logged
    assert line.startswith(f"No node has the role {DEFAULT!r}; reports go to forensic-9.")


def test_a_node_with_the_role_comes_first(swarm):
    """As soon as one holds the role it gets the reports, and no detective does."""
    swarm.of(DEFAULT)
    swarm.now_s = SETTLE_S
    swarm.nodes = ["receiver-1"]
    assert swarm.of(DEFAULT) == ["receiver-1"]
    assert swarm.logged == []


def test_no_detective_gets_reports_of_another_role(swarm):
    """A role that an operator chose is not replaced by a guess; the log says once what to add."""
    for swarm.now_s in (0, SETTLE_S - 1, SETTLE_S, SETTLE_S + 1):
        assert swarm.of("my.role") == []
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
        swarm.of(DEFAULT)
        swarm.of(DEFAULT)
    assert [line.partition(". To choose")[0] for line in swarm.logged] == [
        f"No node has the role {DEFAULT!r}; reports wait until one has it",
        f"No node has the role {DEFAULT!r}; reports go to forensic-9",
        f"The role {DEFAULT!r} now has the nodes receiver-1: reports go there",
        f"No node has the role {DEFAULT!r}; reports wait until one has it",
    ]


def test_a_role_that_comes_late_after_a_boot_is_not_logged(swarm):
    """The framework may need this long to find it."""
    swarm.of(DEFAULT)
    swarm.now_s, swarm.nodes = SETTLE_S - 1, ["receiver-1"]
    assert swarm.of(DEFAULT) == ["receiver-1"]
    assert swarm.logged == []


def test_matrixos_names_the_handler_of_a_receiver(monkeypatch, tmp_path):
    """A waiting report is kept until it is known, or until no node has had the role for a while."""
    swarm = Swarm(monkeypatch, tmp_path, MATRIXOS)
    swarm.of(DEFAULT)
    assert swarm.receivers.handler_of("receiver-1", HANDLER) is None
    swarm.handlers = {"receiver-1": "cmd_catch"}
    assert swarm.of(DEFAULT) == ["receiver-1"]
    assert swarm.receivers.handler_of("receiver-1", HANDLER) == "cmd_catch"
    assert swarm.receivers.handler_of("forensic-9", HANDLER) == HANDLER
    swarm.handlers = {}
    swarm.of(DEFAULT)
    assert swarm.receivers.handler_of("receiver-1", HANDLER) == "cmd_catch"
    assert swarm.receivers.handler_of("forensic-9", HANDLER) is None
    swarm.now_s = SETTLE_S
    assert swarm.of(DEFAULT) == ["forensic-9"]
    assert swarm.receivers.handler_of("forensic-9", HANDLER) == HANDLER
    (line,) = swarm.logged
    assert line.endswith(f'"service-manager": [{{"role": ["{DEFAULT}@{HANDLER}"]}}]')
