"""The agent's own part: methods under the reference's names, waiting, and a library that is not there."""

import shutil
import threading
import time
from dataclasses import replace

import pytest
from matrixswarm.core.boot_agent import BootAgent

from tests.port import agent_module, port_agent


@pytest.fixture
def agent(tmp_path):
    """An agent with one holder of the role."""
    return port_agent(tmp_path, {"check_interval_sec": 30}, ["forensic-1"])


def test_the_class_is_the_references(agent):
    """A BootAgent called Agent that calls itself what the reference calls itself."""
    assert isinstance(agent, BootAgent)
    assert type(agent).__name__ == "Agent"
    assert agent.name == "NetworkHealthMonitor"


def test_the_methods_answer_as_the_references_do(agent):
    """The three summaries, with the reference's keys."""
    time.sleep(0.2)
    (lo,) = [i for i in agent.get_network_summary()["interfaces"] if i["iface"] == "lo"]
    assert lo["ip"] == ["127.0.0.1"]
    connections = agent.get_conn_summary()
    assert connections["total_connections"] == sum(connections["by_status"].values())
    hogs = agent.get_top_process_hogs()
    assert len(hogs) == 5
    assert {"pid", "name", "cpu_percent", "rss_mb", "write_bytes", "read_bytes"} <= set(hogs[0])


def test_a_report_is_the_references_packet(agent):
    """``send_status_report`` sends a handler and a content, to the holder."""
    agent.send_status_report("healthy", "INFO", "all well", {"a": 1})
    ((holder, packet),) = agent.sent
    assert (holder, packet["handler"]) == ("forensic-1", "cmd_ingest_status_report")
    content = packet["content"]
    assert abs(content.pop("timestamp") - time.time()) < 5
    assert content.pop("metrics").items() >= {"a": 1}.items()
    assert content == {
        "source_agent": "NetworkHealthMonitor",
        "service_name": "system.network",
        "status": "healthy",
        "severity": "INFO",
        "details": "all well",
    }


def test_a_reports_time_is_that_of_the_observation(agent, monkeypatch):
    """Not that of the sending, before which a busy host lets time pass."""
    seen = replace(agent.service.monitor.check(), timestamp=1_700_000_000.5)
    monkeypatch.setattr(agent.service.monitor, "check", lambda: seen)
    agent.worker()
    assert [packet["content"]["timestamp"] for _, packet in agent.sent] == [1_700_000_000.5]


def test_worker_checks_a_second_after_the_start_and_returns(agent):
    """The first call of ``worker`` sends the first report; the next one waits for the interval."""
    agent.worker()
    assert len(agent.sent) == 1
    waiting = threading.Thread(target=agent.worker, daemon=True)
    waiting.start()
    waiting.join(0.5)
    assert waiting.is_alive()
    agent.running = False
    waiting.join(3)
    assert not waiting.is_alive()
    assert len(agent.sent) == 1


def test_worker_returns_when_a_config_waits(agent, tmp_path):
    """A file in the drop zone ends the wait, once, so that the framework can hand it over."""
    agent.worker()
    drop = tmp_path / "comm" / "net-1" / "config" / "pushed.json"
    waiting = threading.Thread(target=agent.worker, daemon=True)
    waiting.start()
    waiting.join(0.3)
    drop.touch()
    waiting.join(5)
    assert not waiting.is_alive()
    assert not agent.service._config.has_new_packet()


def test_a_missing_library_is_told_and_the_agent_stays(tmp_path, monkeypatch):
    """It says what to install, checks nothing, and waits until it is ended."""
    monkeypatch.setattr(agent_module(), "MISSING", ImportError("No module named 'network_health'"))
    agent = port_agent(tmp_path, {}, ["forensic-1"])
    (line,) = agent.logged
    assert "No module named 'network_health'" in line
    assert "-m pip install matrixswarm-network-health" in line
    waiting = threading.Thread(target=agent.worker, daemon=True)
    waiting.start()
    waiting.join(1.5)
    assert waiting.is_alive()
    agent.running = False
    waiting.join(3)
    assert not waiting.is_alive()
    assert (agent.sent, agent.logged) == ([], [line])


def test_mistakes_of_the_directive_are_logged_once_each(tmp_path):
    """A line for each value that is not allowed and for each key that nobody knows."""
    agent = port_agent(tmp_path, {"check_interval_sec": 2.5, "top_n_procs": None, "conn_treshold": 1})
    assert len(agent.logged) == 3
    assert all(line.startswith("Setting ") for line in agent.logged)
    assert len(agent.service.monitor.settings_errors) == 2


def test_a_full_disk_does_not_end_the_agent(agent, tmp_path):
    """Where the framework's beacons cannot be written the agent goes on without them."""
    moto = tmp_path / "comm" / "net-1" / "hello.moto"
    shutil.rmtree(moto)
    moto.touch()
    agent.emit_dead_poke("worker", "x")
    agent.check_for_thread_poke("worker")()
    agent.worker()
    assert len(agent.sent) == 1


def test_a_packet_that_names_a_method_sends_no_report(tmp_path):
    """The framework would call it with content, packet and identity: it is refused, and the next is sent."""
    agent = port_agent(tmp_path, {}, ["forensic-1"])
    packet = {"handler": "send_status_report", "content": {}}
    agent.send_status_report(packet["content"], packet, object())
    assert len(agent.service.outbox) == 0
    agent.send_status_report("healthy", "INFO", "All is well.", {})
    assert [content["content"]["details"] for _, content in agent.sent] == ["All is well."]
