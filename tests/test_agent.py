"""The agent's own part: methods under the reference's names, waiting, and a library that is not there."""

import json
import shutil
import threading
import time
from dataclasses import replace

import pytest
from matrixswarm.core.boot_agent import BootAgent

from network_health.swarm import packet_gate
from tests.port import agent_module, port_agent

MARK = {"network-health-test": True}


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
    assert agent.logged[0] == "NetworkHealthMonitor initialized."
    assert len(agent.logged) == 4
    assert all(line.startswith("Setting ") for line in agent.logged[1:])
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


def test_no_packet_reaches_an_attribute_of_the_agent(agent, tmp_path, monkeypatch):
    """A packet for each name that the agent has, read by the framework's own listener: none is called."""
    names = [name for name in dir(agent) if not (name.startswith("__") and name.endswith("__"))]
    assert {"save_directive", "start_dynamic_throttle", "log", "send_status_report"} < set(names)
    for name in ("log", "get_delivery_packet", "pass_packet", "get_nodes_by_role"):
        delattr(agent, name)  # what `port_agent` has put there
    agent._catch_football = agent._pass_football = None
    lines, called = [], []
    monkeypatch.setattr(packet_gate, "BUDGET_S", 60)  # a busy host needs longer to read them all
    monkeypatch.setattr(BootAgent, "log", lambda self, msg="", **_: lines.append(msg))

    class Recorded(type(agent)):
        """Notes each call with a packet's parts."""

        def __getattribute__(self, name):
            value = super().__getattribute__(name)
            if not callable(value) or isinstance(value, type) or name.startswith("__"):
                return value

            def call(*args, **kwargs):
                if MARK in args:
                    called.append(name)
                return value(*args, **kwargs)

            return call

    agent.__class__ = Recorded
    incoming = tmp_path / "comm" / "net-1" / "incoming"
    incoming.mkdir()
    agent.running = True
    listener = threading.Thread(target=agent.packet_listener, daemon=True)
    listener.start()
    time.sleep(0.2)
    for name in [*names, "cmd_anything"]:
        part = incoming / f"{name}.part"
        part.write_text(json.dumps({"handler": name, "content": MARK}))
        part.rename(incoming / f"{name}.json")
    deadline = time.monotonic() + 60
    while any(incoming.iterdir()) and time.monotonic() < deadline:
        time.sleep(0.05)
    agent.running = False
    listener.join(5)
    assert list(incoming.iterdir()) == []
    assert called == []
    (refused,) = [line for line in lines if "refused" in line]
    assert refused.endswith(", which this agent does not accept.")
    agent.gate._clock = agent.gate._refusals._clock = lambda: time.monotonic() + 60
    agent.gate.log_counts()
    assert lines[-1].startswith(f"Command refused: {len(names)} more from an unknown sender in ")
