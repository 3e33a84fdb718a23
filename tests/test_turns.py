"""Packets reach a node's handler in the order in which they were sent."""

import pytest

from network_health.swarm.turns import Turns


@pytest.fixture
def node(tmp_path):
    """A node's incoming folder."""
    folder = tmp_path / "n1" / "incoming"
    folder.mkdir(parents=True)
    return folder


def test_the_next_packet_waits_until_the_one_before_was_taken(tmp_path, node):
    """Not its turn while the packet before lies there; its turn once the listener took it."""
    turns, packet = Turns(tmp_path), node / "pk_1.json"
    (node / "somebody-elses.json").touch()
    assert turns.take("n1", lambda: packet.touch() is None, in_a_hurry=False) is True
    assert turns.take("n1", lambda: pytest.fail("too early"), in_a_hurry=False) is None
    packet.unlink()
    assert turns.take("n1", lambda: True, in_a_hurry=False) is True


def test_a_backlog_opens_the_gate(tmp_path, node):
    """A report is worth more than its place in the row."""
    turns = Turns(tmp_path)
    assert turns.take("n1", lambda: (node / "pk_1.json").touch() is None, in_a_hurry=False) is True
    assert turns.take("n1", lambda: True, in_a_hurry=True) is True


def test_each_node_has_its_own_turn(tmp_path, node):
    """A node that is slow to take holds up nobody else, and a refusal is passed on."""
    turns = Turns(tmp_path)
    turns.take("n1", lambda: (node / "pk_1.json").touch() is None, in_a_hurry=False)
    assert turns.take("unknown", lambda: False, in_a_hurry=False) is False
