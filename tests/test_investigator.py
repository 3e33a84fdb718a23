"""The investigator in the framework's own detective: the alert names the cause and what to do."""

import socket
import sys
from dataclasses import fields, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network_health import Monitor, Settings
from network_health.alerting.protocol_limits import protocol_findings
from network_health.model import PortUse, Protocols, Share
from tests.detective import INVESTIGATOR, Swarm, workspace
from tests.examples import examples

NOW = 1_790_000_000.0
THROTTLE = "Stop or throttle the sender (ss -tinp), or raise tx_threshold_mbps if this is wanted."


@pytest.fixture(scope="module")
def detective_module(tmp_path_factory):
    """The detective's module, loaded from a workspace."""
    with workspace(tmp_path_factory.mktemp("workspace")) as module:
        yield module


@pytest.fixture
def swarm(detective_module, tmp_path):
    """A detective that has received no report yet."""
    return Swarm(detective_module, tmp_path)


@pytest.fixture(scope="module")
def investigate(detective_module):
    """A function that returns the detective's findings for reports."""
    agent = object.__new__(detective_module.Agent)
    agent.log = pytest.fail  # it logs only when the investigator failed
    return lambda *reports: agent.run_forensics("system.network", list(reports))


def alert(check, subject="host", severity="CRITICAL", value=2.0, limit=1.0, lasted_s=150.0, checks=6, **more):
    """An entry of ``metrics.alerts``."""
    known = {"check": check, "subject": subject, "severity": severity, "state": "breached"}
    clocks = {"since": 1.0, "lasted_s": lasted_s}  # the clock was wrong when it began
    return {**known, **clocks, "checks": checks, "value": value, "limit": limit, **more}


def report(details, *alerts, severity="CRITICAL", agent="net-health-1", timestamp=NOW, **metrics):
    """The content of a report of network_health."""
    numbered = {"report_id": f"{agent}-3a4b5c6d01ab-000017", **metrics}
    return {
        "source_agent": "NetworkHealthMonitor",
        "service_name": "system.network",
        "status": "healthy" if severity == "INFO" else "network_issue",
        "severity": severity,
        "details": details,
        "metrics": {**numbered, "alerts": list(alerts)} if alerts else numbered,
        "timestamp": timestamp,
    }


def test_the_module_is_found_where_the_detective_looks(detective_module):
    """It needs no ``__init__.py`` in the folders above, and imports only the standard library."""
    before = set(sys.modules)
    module = __import__(INVESTIGATOR, fromlist=["Investigator"])
    assert module.__file__.endswith("watchdog/system/network/investigator/__init__.py")
    foreign = {name.partition(".")[0] for name in set(sys.modules) - before} - {"forensic_detective"}
    assert foreign <= set(sys.stdlib_module_names)


def test_an_incident_has_culprit_finding_duration_and_advice(swarm):
    """The alert that leaves the swarm is one line; the incident file has this line and the evidence."""
    details = "eth0 outbound 251.3 Mbps > 250 Mbps (92% by rsync[4321] to 10.0.0.9:873)"
    link = {"iface": "eth0", "up": True, "ip": ["10.0.0.5"], "speed_mbps": 1000, "tx_rate_mbps": 251.3}
    link |= {"rx_rate_mbps": 3, "new_tx_errs": 0, "new_rx_errs": 0, "new_drops": 0}
    swarm.ingest(
        report(
            "eth0 outbound 260 Mbps > 250 Mbps", alert("tx_rate", "eth0", "WARNING", 260), severity="WARNING"
        ),
        {
            "service_name": "nginx",
            "status": "not_listening",
            "severity": "CRITICAL",
            "details": {"port": 443},
        },
        report(
            details,
            alert("tx_rate", "eth0", value=251.3, limit=250),
            interfaces=[link],
            top_procs=[{"pid": 4321, "name": "rsync", "cpu_percent": 71.26}],
        ),
    )
    (line,) = swarm.alerts[1:]  # the first is nginx's own
    assert line == (
        "net-health-1: eth0 outbound 251.3 Mbps > 250 Mbps (92% by rsync[4321] to 10.0.0.9:873), "
        f"for 2 min 30 s (6 checks). {THROTTLE}"
    )
    incident = next(i for i in swarm.incidents() if i["critical_event"]["service_name"] == "system.network")
    assert incident["full_forensic_report"].split("\n") == [
        line,
        f"CRITICAL: {details}, for 2 min 30 s (6 checks)",
        "Values of tx_rate of eth0: 260 -> 251.30",
        "Interface eth0: up, link 1000 Mbps, out 251.30 Mbps, in 3 Mbps, new errors TX=0 RX=0 drops=0, "
        "10.0.0.5",
        "Busiest by CPU: rsync[4321] 71.26%",
        "Also reported: nginx is not_listening (CRITICAL): port 443",
        "Based on 2 reports of net-health-1, the last at 2026-09-21 14:13:20 UTC",
        "What was before, if the agent keeps a history: network-health history --since 2026-09-20T14:13Z",
    ]


def test_the_last_line_shows_what_was_before(swarm, tmp_path):
    """It has the file that the agent keeps in its own folder; of another name no file is looked up."""
    swarm.detective.path_resolution = {"comm_path": str(tmp_path / "comm")}
    kept = tmp_path / "comm" / "net-health-1" / "queue" / "network-health-history.sqlite"
    kept.parent.mkdir(parents=True)
    kept.touch()
    at_no_time = report("eth1 is down") | {"timestamp": 1e300}
    lines = []
    for content in (report("eth0 is down"), at_no_time, report("x", agent="../net-health-1")):
        swarm.detective.last_alerts.clear()
        swarm.ingest(content)
        lines.append(swarm.incidents()[-1]["full_forensic_report"].split("\n")[-1])
    assert lines == [
        f"What was before: network-health history {kept} --since 2026-09-20T14:13Z",
        f"What was before: network-health history {kept} --since 24h",
        "What was before, if the agent keeps a history: network-health history --since 2026-09-20T14:13Z",
    ]


STATES = {"ESTABLISHED": 300, "TIME_WAIT": 1500, "NONE": 200}


@pytest.mark.parametrize(
    ("details", "alerts", "metrics", "parts"),
    [
        (
            "eth0 inbound 300 Mbps > 250 Mbps",
            [alert("rx_rate", "eth0")],
            {
                "top_network": [
                    {"name": "unattributed", "net_rx_mbps": 200},
                    {"pid": 7, "name": "wget", "net_rx_mbps": 99.5},
                ]
            },
            ["Mbps, for 2 min 30 s (6 checks), most by wget[7] at 99.50 Mbps. Stop or limit the source"],
        ),
        (
            "High connection count: 2000 > 1000",
            [alert("connections", lasted_s=0.0, checks=1)],
            {"total_connections": 2000, "by_status": STATES},
            ["2000 > 1000, 75% of them TIME_WAIT. Many short connections"],
        ),
        (
            "High connection count: 2000 > 1000",
            [alert("connections")],
            {"total_connections": 2000, "by_status": {"ESTABLISHED": 300, "LISTEN": 400, "NONE": 1}},
            ["Limit or block the source", "raise conn_threshold"],
        ),
        (
            "eth0 errors: TX=0 RX=0 drops=3",
            [alert("packet_errors", "eth0")],
            {"interfaces": [{"iface": "eth0", "new_drops": 3, "new_tx_errs": 0, "new_rx_errs": 0}]},
            ["ip -s -s link show eth0"],
        ),
        ("eth0 errors: TX=9 RX=0 drops=3", [alert("packet_errors", "eth0")], {}, ["ethtool -S eth0"]),
        ("$(x) is down", [alert("link", "$(x)", aspect="down")], {}, ["ip link show '$(x)'"]),
        ("eth0 is gone", [alert("link", "eth0", aspect="gone")], {}, ["journalctl -k; reseat"]),
        (
            "60 veth links are down: veth1, veth2, veth3 (57 more); "
            "4 physical links are down: eth1, eth2, eth3 (1 more); eth9 outbound 9 Mbps > 1 Mbps",
            [
                *(alert("link", f"veth{n}", aspect="down") for n in range(1, 61)),
                *(alert("link", f"eth{n}", aspect="down") for n in range(1, 5)),
                alert("tx_rate", "eth9", "WARNING"),
            ],
            {},
            ["net-health-1: 60 veth links are down: veth1, veth2, veth3 (57 more)", "(+2 more). Check cable"],
        ),
        ("Something new", [alert("invented_tomorrow")], {}, ["Something new", "See the incident file"]),
        (
            "eth1 errors: TX=9 RX=9 drops=3; eth0 outbound 9 Mbps > 1 Mbps; eth0 errors: TX=0 RX=0 drops=3",
            [
                alert("packet_errors", "eth1", "WARNING"),
                alert("tx_rate", "eth0", "WARNING"),
                alert("packet_errors", "eth0"),
            ],
            {},
            [
                "net-health-1: eth0 errors",
                "probable cause: eth0 outbound 9 Mbps > 1 Mbps",
                "(+1 more). Stop or",
            ],
        ),
        (
            "TCP retransmits 9% > 2%; eth3 is flapping: 5 carrier changes in 2 min",
            [alert("retransmits"), alert("link", "eth3", "WARNING", aspect="flapping")],
            {},
            ["TCP retransmits 9% > 2%", "cause: eth3 is flapping", "journalctl -k | grep eth3"],
        ),
        (
            "Conntrack table 99% > 75%; High connection count: 9 > 1",
            [alert("conntrack"), alert("connections")],
            {"culprits": {"connections": [{"port": 8080, "share": 81.0, "owner": "nginx[1234]"}]}},
            ["net-health-1: High connection count: 9 > 1", "(+1 more)", "Limit or block the source"],
        ),
        ("eth0 outbound 9 Mbps > 1 Mbps; odd", [], {}, ["eth0 outbound 9 Mbps > 1 Mbps (+1 more). Stop"]),
        ("", [], {}, ["a CRITICAL network report without a finding", "See the incident file"]),
    ],
)
def test_the_first_line(investigate, details, alerts, metrics, parts):
    """It has the worst finding, its cause among the others, the culprit if known, and the advice."""
    line = investigate(report(details, *alerts, **metrics))[0]
    for part in parts:
        assert part in line


def test_every_check_of_the_library_has_advice(investigate):
    """Every finding of network_health has its own advice."""
    full = Share(9, 10)
    names = [field.name for field in fields(Protocols)]
    rates = {name: 9.0 for name in names if name.endswith(("_percent", "_per_sec"))}
    shares = dict.fromkeys(("conntrack", "orphans", "tcp_memory"), full)
    seen = Protocols(**rates, **shares, busiest_ports=PortUse("10.0.0.5", "10.0.0.9", 873, full))
    units = ("_threshold_percent", "_threshold_per_sec")
    limited = replace(Settings(), **{f.name: 0 for f in fields(Settings) if f.name.endswith(units)})
    checks = {finding.check for finding in protocol_findings(seen, limited)}
    assert len(checks) == 13
    for check in checks | {"tx_rate", "rx_rate", "packet_errors", "connections"}:
        line = investigate(report(f"x {check}", alert(check, "eth0")))[0]
        assert "See the incident file" not in line


def test_reports_of_other_agents_are_listed_separately(investigate):
    """With two hosts, the last critical report is investigated and the other host's is listed."""
    findings = investigate(
        report("eth0 is down", alert("link", "eth0", value=1, aspect="down"), agent="host-b"),
        report("High connection count: 8 > 1", alert("connections", value=8), agent="host-a"),
        report("High connection count: 9 > 1", alert("connections", value=9), agent="host-a"),
        report("Network health within normal bounds.", severity="INFO", agent="host-b"),
    )
    assert findings[0].startswith("host-a: High connection count: 9 > 1")
    assert "Values of connections of host: 8 -> 9" in findings
    assert "Also reported: system.network is network_issue (CRITICAL): eth0 is down" in findings
    assert findings[-2].startswith("Based on 2 reports of host-a")


def test_the_evidence_has_the_culprits(investigate):
    """Ports, peers and processes of the report are in the incident file, one line for each kind."""
    ports = [{"port": n, "percent": 81.5, "name": "nginx", "pid": n} for n in range(1, 8)]
    connections = {"total": 2000, "ports": ports, "remotes": [{"address": "10.0.0.7", "percent": 64}]}
    rate = {
        "iface": "eth0",
        "processes": [{"name": "rsync", "peers": [{"address": "10.0.0.9", "port": 873}]}],
    }
    sick = report("x", alert("link"), culprits={"connections": connections, "rates": [rate], "errors": "crc"})
    shown = "; ".join(f"port {n}, percent 81.50, name nginx, pid {n}" for n in range(1, 6))
    assert [line for line in investigate(sick) if line.startswith("Culprits")] == [
        "Culprits, connections: total 2000",
        f"Culprits, connections, ports: {shown}, and 2 more",
        "Culprits, connections, remotes: address 10.0.0.7, percent 64",
        "Culprits, rates: iface eth0",
        "Culprits, rates, processes: name rsync, peers address 10.0.0.9, port 873",
        "Culprits, errors: crc",
    ]


def test_the_first_line_is_short_and_clean(investigate):
    """Long and hostile text is cut and cleaned; the advice is kept complete."""
    text = "eth0 outbound 9 Mbps > 1 Mbps (92% by " + "a\x1b[2Jb\n@ \u202e" * 200 + ")"
    line = investigate(report(text, alert("tx_rate", "eth0")))[0]
    assert len(line) <= 300
    assert line.isprintable()
    assert line.endswith(f"…, for 2 min 30 s (6 checks). {THROTTLE}")


def test_without_reports_it_says_so(investigate):
    """The detective's buffer may have no report of the service."""
    assert investigate({"service_name": "nginx"}) == [
        "No network report was received in the last two minutes."
    ]


def test_earlier_findings_are_kept(detective_module):
    """Findings of the detective are kept after those of the investigator."""
    module = sys.modules[INVESTIGATOR]
    findings = ["earlier"]
    result = module.Investigator(None, "system.network", [report("x")]).add_specific_findings(findings)
    assert result is findings
    assert (findings[0][:12], findings[-1]) == ("net-health-1", "earlier")


NAMES = [
    "service_name",
    "severity",
    "details",
    "metrics",
    "alerts",
    "interfaces",
    "iface",
    "by_status",
    "pid",
]
NAMES += [
    "name",
    "top_procs",
    "top_network",
    "culprits",
    "failures",
    "check",
    "subject",
    "value",
    "report_id",
]
NAMES += [
    "lasted_s",
    "timestamp",
    "checks",
    "total_connections",
    "net_tx_mbps",
    "cpu_percent",
    "aspect",
    "limit",
]
WORDS = [
    "system.network",
    "CRITICAL",
    "eth0",
    "tx_rate",
    "connections",
    "packet_errors",
    "link",
    "a-b-1",
    "{x}",
]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*WORDS, 10**4000]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES) | st.text(), inner),
    max_leaves=30,
)
whole = report("eth0 outbound 9 Mbps > 1 Mbps; b", alert("tx_rate", "eth0"), alert("connections"))
whole["metrics"] |= {
    "interfaces": [{"iface": "eth0", "ip": ["::1"], "tx_rate_mbps": 1.5}],
    "by_status": {"LISTEN": 4},
    "total_connections": 4,
    "top_procs": [{"pid": 1, "name": "a", "cpu_percent": 1.5}],
    "top_network": [{"pid": 1, "name": "a", "net_tx_mbps": 1.5}],
    "culprits": {"connections": {"total": 4, "ports": [{"port": 1}]}},
    "failures": [{"collector": "connections", "reason": "OSError"}],
}


def places(value, path=()):
    """The path of each value in a nested one."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def replaced(value, path, new):
    """A copy of ``value`` with ``new`` at ``path``."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


@settings(max_examples=examples(400), deadline=None)
@given(st.sampled_from(list(places(whole))), anything, st.lists(anything, max_size=3))
def test_damaged_reports_raise_no_error(investigate, path, damage, others):
    """With any value in any place, and any other events, all lines are short and printable."""
    findings = investigate(*(other for other in others), replaced(whole, path, damage))
    assert findings
    assert all(isinstance(line, str) and line.isprintable() and len(line) <= 300 for line in findings)


def test_a_real_report_is_understood(swarm):
    """For a report of the library itself, the first line has finding and duration."""
    monitor = Monitor(Settings.from_mapping({"conn_threshold": 0, "critical_after_checks": 2}))
    with socket.create_server(("127.0.0.1", 0)):
        contents = [monitor.check().as_content() for _ in range(2)]
    swarm.ingest(*contents)
    (line,) = swarm.alerts
    assert line.startswith("High connection count: ")
    assert "2 checks" in line
    assert line in swarm.incidents()[0]["full_forensic_report"]
