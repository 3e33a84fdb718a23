"""Each row of docs/port-notes.md: the difference, shown on the reference agent and on this port."""

import re
import socket

import psutil
import pytest

from network_health import Monitor, Settings, SettingsOutcome
from network_health.sources.readers import PORTABLE
from tests.port import port_agent
from tests.reference import IfStat, Io, Process, ProcessIo, World, psutil_says, reference_agent
from tests.tree import DOCS

NOTES = DOCS / "port-notes.md"
QUIET = "Network health within normal bounds."


@pytest.fixture
def world():
    """One interface with traffic, one process, one socket; psutil answers from it."""
    world = World(
        stats={"eth0": IfStat(True, 1000, 1500)},
        io={"eth0": Io(10**6, 10**6, 10**3, 10**3, 0, 0, 0, 0)},
        connections=["LISTEN"],
        processes={7: Process(7, "seven")},
    )
    with psutil_says(world):
        yield world


def ours(**config):
    return Monitor(Settings.from_mapping(config), readers=(PORTABLE,))


def theirs(agent):
    """The content that the reference agent sends for its next check; None if it sends nothing."""
    before = len(agent.sent)
    agent.worker()
    return agent.sent[-1][1]["content"] if len(agent.sent) > before else None


def grow(world, seconds=1.0, **added):
    """Time passes, and the counters of eth0 increase."""
    world.clock_s += seconds
    io = world.io["eth0"]
    world.io = {"eth0": io._replace(**{k: getattr(io, k) + v for k, v in added.items()})}


def eth0(content):
    return content["metrics"]["interfaces"][0]


def test_every_row_has_its_test():
    """The last column of the table names all tests of this file."""
    rows = re.findall(r"\| `(\w+)` \|$", NOTES.read_text(), re.MULTILINE)
    assert sorted(f"test_{row}" for row in rows) == sorted(
        name for name in globals() if name.startswith("test_") and name != "test_every_row_has_its_test"
    )


def test_errors_are_reported_once(world):
    """The reference agent warns at every check; this port once, or at every check with ``"total"``."""
    agent, port, total = reference_agent({}), ours(), ours(packet_errors="total")
    grow(world, dropout=3)
    finding = "eth0 errors: TX=0 RX=0 drops=3"
    assert [theirs(agent)["details"], port.check().details] == [finding, f"{finding} (since boot)"]
    for _ in range(3):
        grow(world)
        assert theirs(agent)["details"] == total.check().details == finding
        assert finding not in port.check().details
    grow(world, errout=1)
    assert port.check().details == "eth0 errors: TX=1 RX=0 drops=0"


def test_the_first_report_has_rates(world):
    """125,000 bytes in a second are 1 Mbps, in the first report too."""
    agent, port = reference_agent({}), ours()
    grow(world, bytes_sent=125_000)
    assert eth0(theirs(agent))["tx_rate_mbps"] == 0
    assert eth0(port.check().as_content())["tx_rate_mbps"] == 1.0


def test_the_first_report_has_cpu(world):
    """A process that is busy from the start shows its CPU in the first report."""
    port = ours()
    world.clock_s += 1
    world.processes[7] = Process(7, "seven", cpu_s=0.5, cpu_percent=0.0)  # psutil's first answer is 0.0
    assert theirs(reference_agent({}))["metrics"]["top_procs"][0]["cpu_percent"] == 0.0
    assert port.check().metrics["top_procs"][0]["cpu_percent"] == 50.0


def test_a_new_process_has_its_cpu(world):
    """A process that started within the window has its CPU time in the report."""
    port = ours()
    world.clock_s += 2
    world.processes[8] = Process(8, "eight", cpu_s=1.0, cpu_percent=0.0)
    (busiest, _) = port.check().metrics["top_procs"]
    assert (busiest["name"], busiest["cpu_percent"]) == ("eight", 50.0)


def test_a_reset_counter_gives_no_negative_rate(world):
    """An interface created again counts from zero."""
    agent, port = reference_agent({}), ours()
    theirs(agent)
    world.clock_s += 1
    world.io = {"eth0": Io(*[0] * 8)}
    assert eth0(theirs(agent))["tx_rate_mbps"] == -8.0
    seen = eth0(port.check().as_content())
    assert (seen["tx_rate_mbps"], seen["counters_reset"]) == (0, True)


def test_a_change_of_the_clock_changes_no_rate(world, monkeypatch):
    """The wall clock is set back an hour while one second passes."""
    agent, port = reference_agent({}), ours()
    theirs(agent)
    monotonic = world.clock_s + 1
    grow(world, -3600.0, bytes_sent=125_000)
    assert eth0(theirs(agent))["tx_rate_mbps"] == -0.0
    monkeypatch.setattr("network_health.sources.portable.time.monotonic", lambda: monotonic)
    assert eth0(port.check().as_content())["tx_rate_mbps"] == 1.0


def test_two_checks_in_one_tick_lose_no_report(world):
    """Of two checks in one clock tick, the reference agent loses the second report."""
    agent, port = reference_agent({}), ours()
    theirs(agent)
    assert theirs(agent) is None
    assert any("division by zero" in line for line in agent.logged)
    assert port.check().details == QUIET


def test_an_unreadable_process_loses_no_report(world):
    """psutil returns None for the CPU of a process that cannot be read."""
    world.processes[8] = Process(8, "eight", cpu_s=None, cpu_percent=None)
    agent, port = reference_agent({}), ours()
    assert theirs(agent) is None
    assert any("'<' not supported" in line for line in agent.logged)
    world.clock_s += 1
    report = port.check()
    assert (report.details, [p["cpu_percent"] for p in report.metrics["top_procs"]]) == (QUIET, [0.0, 0.0])


def test_a_process_with_refused_io_is_listed(world):
    """A process whose I/O cannot be read is in the list, with 0 for its I/O."""
    world.processes[8] = Process(8, "eight", rss=10**9, io=None)
    assert [p["pid"] for p in theirs(reference_agent({}))["metrics"]["top_procs"]] == [7]
    (first, second) = ours().check().metrics["top_procs"]
    assert (first["pid"], first["write_bytes"], second["pid"]) == (8, 0, 7)


def test_a_failing_collector_loses_no_report(world, monkeypatch):
    """If the connections cannot be read, everything else is reported, and the status is not healthy."""

    def refuse(kind="inet"):
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(psutil, "net_connections", refuse)
    agent, port = reference_agent({}), ours()
    assert theirs(agent) is None
    report = port.check()
    assert (report.status, report.severity) == ("check_failed", "WARNING")
    assert "connections" in report.details
    assert [failure["collector"] for failure in report.metrics["failures"]] == ["connections"]
    assert "AccessDenied" in report.metrics["failures"][0]["reason"]
    assert set(report.metrics) >= {"interfaces", "top_procs"}
    assert "total_connections" not in report.metrics


def test_details_are_joined_correctly(world):
    """``details`` has no separator at its start when only the connections breach their limit."""
    agent, port = reference_agent({"conn_threshold": 0}), ours(conn_threshold=0)
    assert theirs(agent)["details"] == "; High connection count: 1 > 0"
    assert port.check().details == "High connection count: 1 > 0"


def test_io_is_disk_io(world):
    """``read_bytes`` and ``write_bytes`` are psutil's I/O counters, as in the reference agent."""
    world.processes[7] = Process(7, "seven", io=ProcessIo(read_bytes=11, write_bytes=22))
    expected = {"read_bytes": 11, "write_bytes": 22}
    (they,) = theirs(reference_agent({}))["metrics"]["top_procs"]
    (we,) = ours().check().metrics["top_procs"]
    assert {k: they[k] for k in expected} == {k: we[k] for k in expected} == expected


def test_a_float_interval_is_reported(world):
    """With 2.5 s the reference agent raises after each check; this port reports it and uses the default."""
    agent = reference_agent({"check_interval_sec": 2.5})
    with pytest.raises(TypeError):
        agent.worker()
    outcome = SettingsOutcome.of({"check_interval_sec": 2.5})
    assert outcome.settings.check_interval_sec == 30
    assert outcome.errors == (
        "check_interval_sec: 2.5 is not allowed; give a whole number of seconds from 1 to 86400",
    )


def test_a_string_is_not_split_into_letters(world):
    """`"exclude_interfaces": "eth0"` excludes the letters e, t, h and 0 in the reference agent."""
    assert reference_agent({"exclude_interfaces": "eth0"}).iface_exclude == set("eth0")
    outcome = SettingsOutcome.of({"exclude_interfaces": "eth0"})
    assert outcome.settings.exclude_interfaces == ()
    assert outcome.errors[0].startswith("exclude_interfaces: 'eth0' is not allowed; give a list")


def refused(config):
    """The settings of a config with one wrong value and ``tx_threshold_mbps`` 7: (its key, all settings)."""
    outcome = SettingsOutcome.of({**config, "tx_threshold_mbps": 7})
    ((key, _),) = outcome.refused.items()
    assert outcome.settings == Settings(tx_threshold_mbps=7)
    return key


def test_a_list_of_names_has_only_names(world):
    """The reference agent takes entries that are no text, and patterns as names."""
    assert reference_agent({"exclude_interfaces": ["eth0", 3]}).iface_exclude == {"eth0", 3}
    assert reference_agent({"exclude_interfaces": {"eth0": 1}}).iface_exclude == {"eth0"}
    assert eth0(theirs(reference_agent({"exclude_interfaces": ["eth*"]})))["iface"] == "eth0"
    assert ours(exclude_interfaces=["eth*"]).check().metrics["interfaces"] == []
    for value in (["eth0", 3], {"eth0": 1}):
        assert refused({"exclude_interfaces": value}) == "exclude_interfaces"


@pytest.mark.parametrize("key", ["conn_threshold", "tx_threshold_mbps", "rx_threshold_mbps", "top_n_procs"])
def test_a_number_as_text_changes_no_other_setting(world, key):
    """The reference agent sends nothing; this port uses the default for it, and all other settings."""
    agent = reference_agent({key: "2000"})
    assert theirs(agent) is None
    assert any("Error in NetworkHealthMonitor" in line for line in agent.logged)
    outcome = SettingsOutcome.of({key: "2000", "check_interval_sec": 9})
    assert (list(outcome.refused), outcome.settings) == ([key], Settings(check_interval_sec=9))


def test_a_limit_is_a_number(world):
    """`true` is a limit of 1 in the reference agent, infinity none."""
    world.connections = ["LISTEN"] * 2
    assert theirs(reference_agent({"conn_threshold": True}))["details"] == "; High connection count: 2 > True"
    for value in (float("inf"), float("nan")):
        assert theirs(reference_agent({"conn_threshold": value}))["details"] == QUIET
    for value in (True, float("inf"), float("nan")):
        assert refused({"conn_threshold": value}) == "conn_threshold"
    assert ours(conn_threshold=1e29).check().details == QUIET
    assert ours(conn_threshold=-1).check().details == "High connection count: 2 > -1"


def test_a_list_of_processes_has_a_limit(world):
    """The reference agent lists all for null and for a large number, and all but one for -1."""
    world.processes |= {pid: Process(pid) for pid in (8, 9)}
    for value, count in ((None, 3), (1001, 3), (-1, 2)):
        assert len(theirs(reference_agent({"top_n_procs": value}))["metrics"]["top_procs"]) == count
        assert refused({"top_n_procs": value}) == "top_n_procs"


@pytest.mark.parametrize("value", [0, -5, 86401])
def test_an_interval_has_limits(world, value):
    """The reference agent takes any whole number."""
    assert theirs(reference_agent({"check_interval_sec": value}))["details"] == QUIET
    assert refused({"check_interval_sec": value}) == "check_interval_sec"


@pytest.fixture
def a_socket():
    """A UDP socket: without one, the host of a test has no connection."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind(("127.0.0.1", 0))
        yield opened


@pytest.mark.usefixtures("a_socket")
def test_a_report_without_a_receiver_is_kept(world, tmp_path):
    """Without a receiver the reference agent loses its report; this port delivers it later."""
    agent = reference_agent({"conn_threshold": 0}, holders=())
    assert theirs(agent) is None
    port = port_agent(tmp_path, {"conn_threshold": 0})
    report = port.service.monitor.check()
    port.send_status_report(report.status, report.severity, report.details, report.metrics)
    assert port.sent == []
    port.now_holding = ["forensic-1"]
    port.service._deliver()
    ((holder, packet),) = port.sent
    assert holder == "forensic-1"
    assert "High connection count: " in packet["content"]["details"]


@pytest.mark.usefixtures("a_socket")
def test_a_pushed_config_is_applied(world, tmp_path):
    """The reference agent keeps its limit; this port uses the pushed one from the next check on."""
    agent = reference_agent({})
    agent.worker({"conn_threshold": 0})
    assert agent.sent[-1][1]["content"]["details"] == QUIET
    port = port_agent(tmp_path, {})
    port.service._reconfigure({"conn_threshold": 0}, None)
    assert "conn_threshold 1000 -> 0" in port.logged[-1]
    assert "High connection count: " in port.service.monitor.check().details
