"""What arrived at a node is what was seen in its inbox and told of in its log."""

import json

import pytest

from network_health.swarm.inbox import Inbox


class Node:
    """A node's inbox and log, as the framework leaves them."""

    def __init__(self, folder):
        self.incoming = folder / "incoming"
        self.incoming.mkdir()
        self.log = ""
        self.inbox = Inbox(self.incoming, lambda: self.log)
        self.sent = 0

    def send(self, severity, details):
        """A packet arrives; returns its file."""
        self.sent += 1
        path = self.incoming / f"pk_{1000 + self.sent}_ab.json"
        content = {"severity": severity, "details": details}
        path.write_text(json.dumps({"handler": "cmd_ingest_status_report", "content": content}))
        return path

    def ingest(self, path):
        """The node takes a packet."""
        severity = json.loads(path.read_text())["content"]["severity"]
        path.unlink()
        self.tell(severity)

    def tell(self, severity):
        """The line that the detective logs."""
        self.log += f"{{\"message\": \"[INGEST] ✅ Received '{severity}' report from 'x'\"}}\n"

    def arrived(self):
        """The details of what arrived since."""
        return [report["details"] for report in self.inbox.arrived()]


@pytest.fixture
def node(tmp_path):
    """A node with nothing in its inbox."""
    return Node(tmp_path)


def test_a_report_arrives_when_it_is_ingested(node):
    """Lying in the inbox is not enough, and it arrives once."""
    packet = node.send("INFO", "one")
    assert node.arrived() == []
    node.ingest(packet)
    assert node.arrived() == ["one"]
    assert node.arrived() == []


def test_reports_arrive_in_order(node):
    """Of one severity the oldest first; severities as the log has them."""
    packets = [node.send(*report) for report in (("INFO", "a"), ("WARNING", "b"), ("INFO", "c"))]
    assert node.arrived() == []
    for packet in (packets[1], packets[0], packets[2]):
        node.ingest(packet)
    assert node.arrived() == ["b", "a", "c"]


def test_a_report_still_lying_there_has_not_arrived(node):
    """The log speaks of another one then, whose content was never seen."""
    node.send("INFO", "here")
    node.arrived()
    node.tell("INFO")
    assert node.arrived() == []


def test_packets_that_are_no_reports_are_passed_over(node):
    """Requests between nodes, cookies and unfinished files are not for the operator."""
    (node.incoming / "die").touch()
    (node.incoming / "tmp1234.json").write_text("{")
    request = node.incoming / "pk_1_ab.json"
    request.write_text(
        json.dumps({"handler": "cmd_deliver_agent_tree_to_child", "content": {"universal_id": "x"}})
    )
    node.arrived()
    request.unlink()
    node.tell("INFO")
    assert node.arrived() == []


def test_an_inbox_that_is_not_there_yet_is_empty(tmp_path):
    """A node makes it when it boots."""
    assert Inbox(tmp_path / "nowhere", lambda: "").arrived() == []
