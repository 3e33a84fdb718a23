"""Packets reach a node's handler in the order in which they were sent."""

import itertools
import os

import pytest

from network_health.swarm.ordered_delivery import OrderedDelivery


@pytest.fixture
def node(tmp_path):
    """A node's incoming folder."""
    folder = tmp_path / "n1" / "incoming"
    folder.mkdir(parents=True)
    return folder


def too_early():
    pytest.fail("it is not its turn")


def put(path):
    """What passes a packet that ends up at ``path``."""
    return lambda: path.touch() is None


def test_the_next_packet_waits_until_the_one_before_was_taken(tmp_path, node):
    """Not its turn while the packet before lies there; its turn once the listener took it."""
    delivery, packet = OrderedDelivery(tmp_path), node / "pk_1.json"
    assert delivery.send("n1", put(packet)) is True
    (node / "somebody-elses.json").touch()
    assert delivery.send("n1", too_early) is None
    packet.unlink()
    assert delivery.send("n1", lambda: True) is True


def test_what_an_earlier_process_put_there_goes_first(tmp_path, node):
    """An agent that was killed and started again does not know its packet, so it waits for all of them."""
    (node / "pk_1.json").touch()
    (node / "die").touch()
    delivery = OrderedDelivery(tmp_path)
    assert delivery.send("n1", too_early) is None
    (node / "somebody-elses.json").touch()
    (node / "pk_1.json").unlink()
    assert delivery.send("n1", lambda: True) is True


def test_a_backlog_opens_the_gate(tmp_path, node):
    """A report is worth more than its place in the row."""
    delivery = OrderedDelivery(tmp_path)
    assert delivery.send("n1", put(node / "pk_1.json")) is True
    assert delivery.send("n1", lambda: True, out_of_order=True) is True


def test_each_node_has_its_own_turn(tmp_path, node):
    """A node that is slow to take holds up nobody else, and a refusal is passed on."""
    delivery = OrderedDelivery(tmp_path)
    delivery.send("n1", put(node / "pk_1.json"))
    assert delivery.send("unknown", lambda: False) is False


@pytest.mark.parametrize(
    ("after_s", "taken", "touched"),
    [(4.9, False, False), (5.0, False, True), (5.0, True, False)],
    ids=["not yet", "it lies there", "it was taken"],
)
def test_a_listener_that_lets_a_packet_lie_is_shown_a_change(tmp_path, node, after_s, taken, touched):
    """The framework's listener looks only when its folder's time differs from the one it saw at its start."""
    now_s = [100.0]
    delivery = OrderedDelivery(tmp_path, clock=lambda: now_s[0])
    delivery.send("n1", put(node / "pk_1.json"))
    if taken:
        (node / "pk_1.json").unlink()
    os.utime(node, (1, 1))
    now_s[0] += after_s
    delivery.touch_waiting()
    assert (node.stat().st_mtime != 1) == touched


def test_a_reminder_survives_a_folder_that_is_gone(tmp_path, node):
    """Nobody to remind is no error."""
    now_s = [100.0]
    delivery = OrderedDelivery(tmp_path, clock=lambda: now_s[0])
    delivery.send("n1", put(node / "pk_1.json"))
    (node / "pk_1.json").unlink()
    node.rmdir()
    now_s[0] += 60
    delivery.touch_waiting()


def test_some_packets_may_wait_at_once(tmp_path, node):
    """As many as are allowed lie there; the next one waits until one of them was taken."""
    delivery = OrderedDelivery(tmp_path)
    for number in (1, 2):
        assert delivery.send("n1", put(node / f"pk_{number}.json"), at_once=2) is True
    assert delivery.send("n1", too_early, at_once=2) is None
    (node / "pk_2.json").unlink()
    assert delivery.send("n1", too_early) is None
    assert delivery.send("n1", put(node / "pk_3.json"), at_once=2) is True


@pytest.mark.parametrize(("interval_s", "at_once"), [(1, 4), (2, 2), (3, 2), (4, 1), (30, 1)])
def test_a_node_that_is_behind_catches_up(tmp_path, interval_s, at_once):
    """Its listener takes more in 3 s than are made; where one is enough, and for a few, order is kept."""
    delivery = OrderedDelivery(tmp_path)
    answers = [delivery.packets_at_once(interval_s, waiting) for waiting in (2, 10, 11, 10, 2, 1, 10)]
    assert answers == [1, 1, at_once, at_once, at_once, 1, 1]
    assert at_once > 3 / interval_s


@pytest.mark.parametrize("taken_after_s", [0.0, 0.2, 0.7, 3.0])
def test_a_backlog_is_as_fast_as_its_receiver(tmp_path, node, taken_after_s):
    """The next packet follows at most as late again as the one before was taken, and at most a second."""
    now_s = [100.0]
    delivery = OrderedDelivery(tmp_path, clock=lambda: now_s[0])
    packet, passed_s, tries = node / "pk.json", [], 0
    while len(passed_s) < 5:
        tries += 1
        if packet.exists() and now_s[0] >= passed_s[-1] + taken_after_s:
            packet.unlink()
        if delivery.send("n1", put(packet)):
            passed_s.append(now_s[0])
        now_s[0] += delivery.pause_s()
    slowest_s = max(later - earlier for earlier, later in itertools.pairwise(passed_s))
    assert taken_after_s <= slowest_s <= taken_after_s + max(0.06, min(taken_after_s, 1.0))
    assert tries <= 5 * 10
