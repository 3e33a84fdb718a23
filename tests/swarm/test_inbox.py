"""A report counts as received when its file was read and the node's log has its line."""

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
        """Put a packet into the folder; returns its file."""
        self.sent += 1
        path = self.incoming / f"pk_{1000 + self.sent}_ab.json"
        content = {"severity": severity, "details": details}
        path.write_text(json.dumps({"handler": "cmd_ingest_status_report", "content": content}))
        return path

    def ingest(self, path):
        """The node takes a packet."""
        severity = json.loads(path.read_text())["content"]["severity"]
        path.unlink()
        self.write_log_line(severity)

    def write_log_line(self, severity):
        """Write the line that the detective logs for a report."""
        self.log += f"{{\"message\": \"[INGEST] ✅ Received '{severity}' report from 'x'\"}}\n"

    def received(self):
        """The details of the reports received since the last call."""
        return [report["details"] for report in self.inbox.received()]


@pytest.fixture
def node(tmp_path):
    """A node with nothing in its inbox."""
    return Node(tmp_path)


def test_a_report_is_received_when_the_node_has_taken_it(node):
    """A file in the folder is not enough, and the report is returned once."""
    packet = node.send("INFO", "one")
    assert node.received() == []
    node.ingest(packet)
    assert node.received() == ["one"]
    assert node.received() == []


def test_reports_are_received_in_order(node):
    """Severities have the order of the log; reports of one severity are returned oldest first."""
    packets = [node.send(*report) for report in (("INFO", "a"), ("WARNING", "b"), ("INFO", "c"))]
    assert node.received() == []
    for packet in (packets[1], packets[0], packets[2]):
        node.ingest(packet)
    assert node.received() == ["b", "a", "c"]


def test_a_report_that_is_still_in_the_folder_is_not_received(node):
    """The log line is then about another report, whose file was never read."""
    node.send("INFO", "here")
    node.received()
    node.write_log_line("INFO")
    assert node.received() == []


def test_packets_that_are_no_reports_are_ignored(node):
    """Requests between nodes, cookies and unfinished files are not returned."""
    (node.incoming / "die").touch()
    (node.incoming / "tmp1234.json").write_text("{")
    request = node.incoming / "pk_1_ab.json"
    request.write_text(
        json.dumps({"handler": "cmd_deliver_agent_tree_to_child", "content": {"universal_id": "x"}})
    )
    node.received()
    request.unlink()
    node.write_log_line("INFO")
    assert node.received() == []


def test_a_folder_that_does_not_exist_yet_has_no_reports(tmp_path):
    """A node creates its folder when it boots."""
    assert Inbox(tmp_path / "nowhere", lambda: "").received() == []
