"""The agent's work, tested without a swarm: a fake node records what the service does."""

import pytest

from network_health.swarm.agent_service import AgentService


class Node:
    """A fake node; ``passed`` are the reports that it accepted."""

    def __init__(self):
        self.running, self.encryption_enabled = True, False
        self.logged, self.passed, self.beacons, self.receivers = [], [], 0, ["receiver-1"]
        self.service = None
        self.accepts = True

    def log(self, msg="", *, level="INFO"):
        self.logged.append((level, msg))

    def beacon(self):
        self.beacons += 1

    def nodes_of_role(self, role):
        return self.receivers

    def send_status_report(self, status, severity, details, metrics, timestamp):
        from network_health import Report

        self.service.report(Report(status, severity, details, metrics, timestamp))

    def pass_content(self, receiver, handler, content):
        if self.accepts:
            self.passed.append((receiver, handler, content["severity"]))
        return self.accepts


class Sender:
    """The identity of a verified node."""

    def __init__(self, uid):
        self.uid = uid

    def has_verified_identity(self):
        return True

    def get_sender_uid(self):
        return self.uid


@pytest.fixture
def node(tmp_path):
    """A node whose service has limits that this host does not breach."""
    (tmp_path / "net-1" / "queue").mkdir(parents=True)
    (tmp_path / "net-1" / "config").mkdir()
    node = Node()
    config = {"check_interval_sec": 60, "conn_threshold": 10**9, "tx_threshold_mbps": 10**9}
    node.service = AgentService(node, "net-1", tmp_path, tmp_path / "net-1", config)
    return node


def test_a_call_makes_the_check_that_is_due_and_reports_it(node):
    """The first check comes a second after the start, and beacons are sent while it waits."""
    node.service.work({}, None)
    ((receiver, handler, _),) = node.passed
    assert (receiver, handler) == ("receiver-1", "cmd_ingest_status_report")
    assert node.beacons >= 2


def test_a_call_ends_when_the_agent_does(node):
    """When the agent ends, no check is started and nothing is sent."""
    node.running = False
    node.service.work({}, None)
    assert node.passed == []


def test_a_report_that_is_not_accepted_waits(node):
    """The report stays in the outbox, and is delivered by a later call."""
    node.accepts = False
    node.service.work({}, None)
    assert (len(node.service.outbox), node.passed) == (1, [])
    node.accepts = True
    node.service._deliver()
    assert (len(node.service.outbox), len(node.passed)) == (0, 1)


def test_a_push_is_applied_whole(node):
    """It changes the settings and the schedule, and writes one log line."""
    node.running = False
    node.service.work({"content": {"conn_threshold": 5, "check_interval_sec": 7}}, None)
    settings = node.service.monitor.settings
    assert (settings.conn_threshold, settings.check_interval_sec) == (5, 7)
    assert node.logged[-1][1].startswith("Live config applied: check_interval_sec 60 -> 7, conn_threshold ")


def test_a_push_with_a_mistake_changes_nothing(node):
    """The mistake is in the log and in the reports; no setting changes."""
    node.running = False
    before = node.service.monitor.settings
    node.service.work({"conn_threshold": "many", "check_interval_sec": 7}, None)
    assert node.service.monitor.settings == before
    (error,) = node.service.monitor.settings_errors
    assert node.logged[-1] == ("WARNING", f"Live config refused: {error}")


def test_with_encryption_only_matrix_may_push(node):
    """A push from another node is refused, and the log names the node."""
    node.running, node.encryption_enabled = False, True
    before = node.service.monitor.settings
    node.service.work({"conn_threshold": 5}, Sender("other-1"))
    assert node.service.monitor.settings == before
    assert "'other-1' may not command this agent" in node.logged[-1][1]
    node.service.work({"conn_threshold": 5}, Sender("matrix"))
    assert node.service.monitor.settings.conn_threshold == 5


def test_a_packet_that_the_framework_dropped_is_logged(node, tmp_path):
    """A packet that disappeared without a config for ``worker`` is reported as refused."""
    packet = tmp_path / "net-1" / "config" / "a.json"
    packet.touch()
    node.service.work({}, None)
    packet.unlink()
    node.running = False
    node.service.work({}, None)
    assert node.logged[-1] == ("WARNING", "Live config refused: the framework could not verify or read it.")
