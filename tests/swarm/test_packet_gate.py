"""Which packets reach the framework, what it finds in the others, and how long that may take."""

import os
from types import SimpleNamespace

import pytest
from matrixswarm.core.class_lib.packet_delivery.utility.encryption.utility.identity import IdentityObject

from network_health.swarm.packet_gate import BUDGET_S, MAX_BYTES, WINDOW_S, PacketGate

MATRIX, OTHER, NOBODY = (
    IdentityObject(True, "matrix"),
    IdentityObject(True, "other-1"),
    IdentityObject(False, None),
)


class Reader:
    """A framework's reader; ``packets`` are the content and the sender of those that come, oldest first."""

    def __init__(self, gate, zone, cost_s=0.0):
        self.packets, self.taken, self.gate, self.cost_s = [], [], gate, cost_s
        gate.gate.guard(self).set_drop_zone({"drop": zone})

    def set_drop_zone(self, drop):
        self.zone = drop["drop"]
        return self

    def set_identifier(self, name):
        self.name = name
        return self

    def set_logger(self, log):
        self.log = log

    def receive(self):
        content, self.sender = self.packets.pop(0)
        self.gate.now_s += self.cost_s
        self.taken.append(content)
        return None if content is None else SimpleNamespace(get_packet=lambda: content)

    def get_identity(self):
        return self.sender

    def read(self, content, sender):
        """What the framework gets for one packet: its content and its sender."""
        self.packets = [(content, sender)]
        self.set_identifier("packet.json")
        return self.receive().get_packet(), self.get_identity()


class Gate:
    """A gate with a clock of its own; ``lines`` is what it logs. Every folder has one packet."""

    def __init__(self, folder, **options):
        self.now_s, self.lines = 0.0, []
        for zone in ("incoming", "config", "directive"):
            (folder / zone).mkdir(exist_ok=True)
            (folder / zone / "packet.json").touch()
        self.gate = PacketGate(folder, self.lines.append, clock=lambda: self.now_s, **options)


@pytest.fixture
def gate(tmp_path):
    """The gate of an agent in an encrypted swarm that answers to one command."""
    return Gate(tmp_path, encrypted=True, handlers=["cmd_known"])


@pytest.mark.parametrize(
    "handler", ["save_directive", "__init__", "a.b.cmd_known", 5, ["cmd_known"], "x" * 10**6]
)
def test_a_command_that_is_not_known_is_empty(gate, handler):
    """The framework finds no handler in it; whoever sent it is named."""
    assert Reader(gate, "incoming").read({"handler": handler, "content": {}}, MATRIX)[0] == {}
    (line,) = gate.lines
    assert line.startswith("Command refused: 'matrix' sent the command ")
    assert line.endswith(", which this agent does not accept.")
    assert len(line) < 200


def test_a_known_command_is_handed_on(gate):
    """With its content and its sender."""
    packet = {"handler": "cmd_known", "content": {"a": 1}}
    assert Reader(gate, "incoming").read(packet, OTHER) == (packet, OTHER)
    assert gate.lines == []


def test_a_config_of_another_node_hides_none_of_matrix(gate):
    """Of three in one pass the framework hands on the one of matrix, with its identity."""
    reader = Reader(gate, "config")
    reads = [reader.read({"top_n_procs": n}, sender) for n, sender in enumerate([OTHER, MATRIX, OTHER])]
    assert [content for content, _ in reads] == [None, {"top_n_procs": 1}, None]
    assert reads[-1][1] is MATRIX
    assert gate.lines == ["Live config refused: 'other-1' may not command this agent, only 'matrix' may."]


def huge(path):
    """A file that is larger than any packet."""
    path.touch()
    os.truncate(path, MAX_BYTES + 1)


@pytest.mark.parametrize("plant", [os.mkfifo, os.mkdir, huge, lambda path: path.symlink_to("/dev/zero")])
@pytest.mark.parametrize(("zone", "nothing"), [("config", None), ("incoming", {})])
def test_what_is_no_file_or_too_large_is_not_read(gate, tmp_path, zone, nothing, plant):
    """The framework would wait at a FIFO for ever; a huge file would take twenty times its size as memory."""
    (tmp_path / zone / "packet.json").unlink()
    plant(tmp_path / zone / "packet.json")
    reader = Reader(gate, zone)
    assert reader.read({"top_n_procs": 1}, MATRIX)[0] == nothing
    assert reader.taken == []
    (line,) = gate.lines
    assert line.endswith(" refused: it is not a regular file of at most 1 MiB.")


@pytest.mark.parametrize("content", [None, {}, [], "text"])
@pytest.mark.parametrize(("zone", "nothing"), [("config", None), ("incoming", {})])
def test_what_cannot_be_read_is_refused(gate, zone, nothing, content):
    """An unsigned or damaged packet is empty for the framework, and no sender is named for it."""
    assert Reader(gate, zone).read(content, MATRIX)[0] == nothing
    (line,) = gate.lines
    assert line.endswith(" refused: the framework could not verify or read it.")


def test_without_encryption_everyone_may_push(tmp_path):
    """There is no identity then; commands are refused all the same."""
    gate = Gate(tmp_path, encrypted=False)
    assert Reader(gate, "config").read({"top_n_procs": 1}, NOBODY)[0] == {"top_n_procs": 1}
    assert Reader(gate, "incoming").read({"handler": "log"}, NOBODY)[0] == {}
    assert gate.lines == [
        "Command refused: an unknown sender sent the command 'log', which this agent does not accept."
    ]


def test_other_folders_are_the_frameworks(gate):
    """It reads the tree of nodes from one of them."""
    assert Reader(gate, "directive").read({"children": []}, NOBODY) == ({"children": []}, NOBODY)


def test_a_flood_takes_a_part_of_the_time(gate):
    """A hundred packets that take 62.5 ms each to verify: eight are read, the rest is dropped unread."""
    reader = Reader(gate, "config", cost_s=BUDGET_S / 8)
    for _ in range(100):
        assert reader.read({"top_n_procs": 1}, OTHER)[0] is None
    assert gate.now_s == BUDGET_S
    assert gate.gate.is_flooded
    gate.now_s += WINDOW_S
    assert not gate.gate.is_flooded
    assert reader.read({"top_n_procs": 2}, MATRIX)[0] == {"top_n_procs": 2}
    assert gate.lines == [
        "Live config refused: 'other-1' may not command this agent, only 'matrix' may.",
        "Live config refused: it was not read, because too many others were refused.",
    ]
