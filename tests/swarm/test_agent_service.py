"""The agent's work, tested without a swarm: a fake node records what the service does."""

import time
from pathlib import Path

import pytest

from network_health.history import FILE_NAME, History, HistoryError
from network_health.swarm import MATRIXOS, MATRIXSWARM
from network_health.swarm.agent_service import AgentService
from network_health.swarm.packet_gate import PacketGate


class Node:
    """A fake node; ``passed`` are the reports that it accepted."""

    framework = MATRIXSWARM

    def __init__(self):
        self.running, self.encryption_enabled = True, False
        self.logged, self.passed, self.beacons, self.receivers = [], [], 0, ["receiver-1"]
        self.service, self.handlers = None, {}
        self.accepts = True
        self.gate = PacketGate(Path(), lambda line: self.log(line, level="WARNING"), encrypted=False)

    def log(self, msg="", *, level="INFO"):
        self.logged.append((level, msg))

    def beacon(self):
        self.beacons += 1

    def nodes_of_role(self, role):
        return {receiver: self.handlers.get(receiver) for receiver in self.receivers}

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
    node.service = AgentService(node, "net-1", tmp_path, tmp_path / "net-1", config, node.gate)
    return node


def test_a_call_makes_the_check_that_is_due_and_reports_it(node):
    """The first check comes a second after the start, and beacons are sent while it waits."""
    node.service.work({}, None)
    ((receiver, handler, _),) = node.passed
    assert (receiver, handler) == ("receiver-1", "cmd_ingest_status_report")
    assert node.beacons >= 2


def test_a_call_samples_the_interfaces_while_it_waits(node):
    """Once a second, and not when the check is due."""
    samples = []
    node.service.monitor.sample = lambda: samples.append(time.monotonic())
    started_s = time.monotonic()
    node.service._schedule.due_s = started_s + 2.5
    node.service.work({}, None)
    assert [round(at_s - started_s) for at_s in samples] == [0, 1, 2]


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


def test_after_a_restart_a_report_waits_for_the_handler_of_its_receiver(tmp_path):
    """With MatrixOS the receiver names it, and it would drop a report for any other handler."""
    (tmp_path / "net-1" / "queue").mkdir(parents=True)
    node = Node()
    node.framework, node.handlers, node.accepts = MATRIXOS, {"receiver-1": "cmd_catch"}, False
    for _ in range(2):
        node.service = AgentService(node, "net-1", tmp_path, tmp_path / "net-1", {}, node.gate)
        if not len(node.service.outbox):
            node.send_status_report("network_issue", "WARNING", "slow", {}, 0)
        node.receivers, node.accepts = [], True
    node.service._deliver()
    assert (len(node.service.outbox), node.passed) == (1, [])
    node.receivers = ["receiver-1"]
    node.service._deliver()
    assert (len(node.service.outbox), node.passed) == (0, [("receiver-1", "cmd_catch", "WARNING")])


def test_the_first_delivery_to_each_node_is_logged(node):
    """Once, so that the log shows that reports arrive."""
    node.receivers = ["receiver-1", "receiver-2"]
    node.service.work({}, None)
    node.send_status_report("healthy", "INFO", "all well", {}, 0)
    assert node.logged == [
        ("INFO", "The first report was delivered to receiver-1"),
        ("INFO", "The first report was delivered to receiver-2"),
    ]


def test_a_check_that_is_due_comes_before_a_config_packet(node, tmp_path):
    """Packets that never end do not delay it."""
    (tmp_path / "net-1" / "config" / "a.json").touch()
    node.service.work({}, None)
    assert node.passed == []
    (tmp_path / "net-1" / "config" / "b.json").touch()
    node.service._schedule.due_s = 0
    node.service.work({}, None)
    assert len(node.passed) == 1


UNKNOWN = " (pushed by an unknown sender, because encryption is off)"
BAD = "conn_threshold: 'many' is not allowed; give a number of connections from -10^30 to 10^30"


def test_a_push_is_applied_whole(node):
    """It changes the settings and the schedule, and writes one log line."""
    node.running = False
    node.service.work({"content": {"conn_threshold": 5, "check_interval_sec": 7}}, None)
    settings = node.service.monitor.settings
    assert (settings.conn_threshold, settings.check_interval_sec) == (5, 7)
    line = f"Live config applied: check_interval_sec 60 -> 7, conn_threshold {10**9} -> 5{UNKNOWN}"
    assert node.logged == [("INFO", line)]


def test_a_push_with_a_mistake_changes_nothing(node):
    """The mistake is in the log and in the reports; no setting changes."""
    node.running = False
    before = node.service.monitor.settings
    node.service.work({"conn_threshold": "many", "check_interval_sec": 7}, None)
    assert node.service.monitor.settings == before
    assert node.service.monitor.settings_errors == (BAD,)
    assert node.logged == [("WARNING", f"Live config refused: {BAD}{UNKNOWN}")]


def test_a_value_that_was_refused_before_is_ignored(node):
    """The framework sends it again with each later push: the rest of that is applied, until it changes."""
    node.running = False
    node.service.work({"conn_threshold": "many"}, None)
    node.logged.clear()
    node.service.work({"conn_threshold": "many", "check_interval_sec": 7}, None)
    ignored = f"ignored, because it was refused before: {BAD}"
    assert node.logged == [("INFO", f"Live config applied: check_interval_sec 60 -> 7; {ignored}{UNKNOWN}")]
    assert node.service.monitor.settings.check_interval_sec == 7
    assert node.service.monitor.settings_errors == (BAD,)
    node.service.work({"conn_threshold": "more", "check_interval_sec": 8}, None)
    assert node.service.monitor.settings.check_interval_sec == 7
    node.service.work({"conn_threshold": 6, "check_interval_sec": 8}, None)
    settings = node.service.monitor.settings
    assert (settings.conn_threshold, settings.check_interval_sec) == (6, 8)
    assert node.service.monitor.settings_errors == ()
    node.service.work({"conn_threshold": "many", "check_interval_sec": 9}, None)
    assert node.service.monitor.settings == settings


def test_a_mistake_of_the_directive_refuses_no_push(tmp_path):
    """It was refused at the start, and every push has it as well."""
    (tmp_path / "net-1" / "queue").mkdir(parents=True)
    node = Node()
    node.running = False
    config = {"conn_threshold": "many"}
    service = AgentService(node, "net-1", tmp_path, tmp_path / "net-1", config, node.gate)
    service.work({**config, "top_n_procs": 3}, None)
    assert service.monitor.settings.top_n_procs == 3
    assert service.monitor.settings_errors == (BAD,)


def test_a_push_is_one_line_however_many_mistakes_it_has(node):
    """20,000 unknown keys: the first 20 are named, the rest is counted."""
    node.running = False
    node.service.work({f"key{number}": 1 for number in range(20_000)}, None)
    ((level, line),) = node.logged
    assert level == "INFO"
    assert line.startswith("Live config applied: nothing changed; 'key0': unknown setting; ")
    assert line.endswith(f"'key19': unknown setting; 19980 more unknown settings{UNKNOWN}")
    assert len(line) < 1000


def test_with_encryption_only_matrix_may_push(node):
    """A push from another node is refused, and the log names the node."""
    node.running, node.encryption_enabled = False, True
    before = node.service.monitor.settings
    node.service.work({"conn_threshold": 5}, Sender("other-1"))
    assert node.service.monitor.settings == before
    assert "'other-1' may not command this agent" in node.logged[-1][1]
    node.service.work({"conn_threshold": 5}, Sender("matrix"))
    assert node.service.monitor.settings.conn_threshold == 5
    assert node.logged[-1][1].endswith(" (pushed by 'matrix', which does not say which node asked for it)")


def kept(folder):
    """The times of the checks in the history of the agent in ``folder``; none while there is no file yet."""
    try:
        with History.open(folder / "queue" / FILE_NAME) as history:
            return [check.at for check in history.checks(0, 1e12)]
    except HistoryError:
        return []


def eventually_kept(folder, count):
    """Whether the history has ``count`` checks within a minute."""
    until_s = time.monotonic() + 60
    while len(kept(folder)) != count and time.monotonic() < until_s:
        time.sleep(0.05)
    return len(kept(folder)) == count


def test_the_history_is_turned_on_and_off_by_live_config(node, tmp_path):
    """Off by default; each check since it was turned on is kept, and none since it was turned off."""
    folder = tmp_path / "net-1"
    node.service.work({}, None)
    assert kept(folder) == []
    for number in (1, 2):
        node.service._schedule.due_s = time.monotonic()
        node.service.work({"history": True}, None)
        assert eventually_kept(folder, number)
    node.service._schedule.due_s = time.monotonic()
    node.service.work({"history": False}, None)
    assert len(kept(folder)) == 2
    assert [line for level, line in node.logged if level == "WARNING"] == []
