"""A booted agent, seen by Debian's own Prometheus: at its port, and through node_exporter from its file."""

import os
import re
import signal
import socket
import stat

import pytest

from network_health.swarm.booting import Swarm
from tests.export.test_endpoint import free_port, get
from tests.export.test_metric_families import samples
from tests.prometheus import NodeExporter, Prometheus
from tests.real_swarm.nodes import (
    CATCHER,
    COMMANDER,
    caught,
    eventually,
    holder,
    matrix,
    messages,
    node,
    update_agent,
)
from tests.test_fleet import NAME, RULES, dashboard_expressions, rule_names

pytestmark = [pytest.mark.root, pytest.mark.swarm]

UID = "net-1"
#: A WARNING waits for the one before to be taken: with more of them the newest would be long in coming.
INTERVAL_S = 4
#: The kinds of interfaces that come and go on a host of tests are not this test's to know.
BUT_LOOPBACK = ["[!l]*", "l[!o]*"]


class Watched:
    """A swarm with an agent that exports both ways, and who looks at it."""

    def __init__(self, swarm, prometheus, address, textfile):
        self.swarm, self.prometheus, self.address, self.textfile = swarm, prometheus, address, textfile

    def quiet(self):
        """Let the finding end: of reports without one the newest alone is waited for."""
        self.push(conn_threshold=10**6)
        eventually(lambda: self.reports()[-1]["severity"] == "INFO", 120)

    def reports(self):
        return caught(self.swarm, "catcher-1", UID)

    def errors(self):
        """``settings_errors`` of the newest report."""
        return self.reports()[-1]["metrics"].get("settings_errors", [])

    def said(self, words):
        return [line for line in messages(self.swarm, UID) if words in line]

    def push(self, **config):
        update_agent(self.swarm, "boss-1", UID, **config)


@pytest.fixture(scope="module")
def watched(tmp_path_factory):
    """Booted once; Prometheus scrapes the port as the job ``agent`` and node_exporter as ``node``."""
    folder = tmp_path_factory.mktemp("prometheus")
    address, textfile = f"127.0.0.1:{free_port()}", folder / "files" / "network_health.prom"
    textfile.parent.mkdir()
    directive = matrix(
        holder("catcher-1"),
        node("boss-1", "commander"),
        node(
            UID,
            "network_health",
            check_interval_sec=INTERVAL_S,
            conn_threshold=0,
            exclude_interfaces=BUT_LOOPBACK,
            prometheus_listen=address,
            prometheus_textfile=str(textfile),
        ),
    )
    with (
        Swarm(directive, encryption=False, extra_agents=CATCHER | COMMANDER) as swarm,
        NodeExporter(folder, textfile.parent) as exporter,
        Prometheus(folder, {"agent": address, "node": exporter.address}, [RULES]) as prometheus,
    ):
        yield Watched(swarm, prometheus, address, textfile)


def expected(report):
    """What Prometheus has to have of a report, by name and label; worked out here anew."""
    metrics = report["metrics"]
    want = {
        ("last_check_timestamp_seconds", None): report["timestamp"],
        ("check_interval_seconds", None): INTERVAL_S,
        ("check_duration_seconds", None): metrics["check"]["total_ms"] / 1000,
        ("settings_errors", None): 0,
        ("tcp_segments_sent_per_second", None): metrics["protocols"]["out_segments_per_sec"],
        ("alert", "connections"): 1,
        ("status", "network_issue"): 1,
        ("status", "healthy"): 0,
    }
    for interface in metrics["interfaces"]:
        name = interface["iface"]
        want["interface_transmit_bytes_per_second", name] = interface["tx_rate_mbps"] * 10**6 / 8
        want["interface_receive_bytes_per_second", name] = interface["rx_rate_mbps"] * 10**6 / 8
        want["interface_up", name] = int(interface["up"])
        want["interface_transmit_errors_total", name] = interface["tx_errs"]
        want["interface_receive_errors_total", name] = interface["rx_errs"]
    for collector, ms in metrics["check"]["collectors"].items():
        want["collector_duration_seconds", collector] = ms / 1000
    for status, count in metrics["by_status"].items():
        want["connections", "udp" if status == "NONE" else status.lower()] = count
    (alert,) = metrics["alerts"]
    want["alert_value", "connections"] = alert["value"]
    want["alert_limit", "connections"] = alert["limit"]
    want["alert_start_timestamp_seconds", "connections"] = alert["since"]
    return want


@pytest.mark.parametrize("job", ["agent", "node"])
def test_prometheus_has_what_the_report_says(watched, job):
    """Figure by figure, for the report of the very check that was scraped."""

    def scraped():
        """The time of a scrape whose report has been caught, and that."""
        reports = {report["timestamp"]: report for report in watched.reports()}
        series = f'network_health_last_check_timestamp_seconds{{job="{job}"}}'
        scrapes = [(at, reports[seen]) for at, seen in watched.prometheus.scrapes(series) if seen in reports]
        return scrapes[-1] if scrapes else None

    at, report = eventually(scraped)
    found = {}
    for labels, value in watched.prometheus.query(f'{{__name__=~"network_health_.+",job="{job}"}}', time=at):
        name = labels.pop("__name__").removeprefix("network_health_")
        labels = {key: label for key, label in labels.items() if key not in {"job", "instance"}}
        found[name, labels.get("check", next(iter(labels.values()), None))] = value
    want = expected(report)
    assert {key: found.get(key) for key in want} == pytest.approx(want, abs=1e-6)
    assert {label for name, label in found if name == "interface_up"} == {"lo"}


def test_everybody_may_read_the_file(watched):
    """0644, and nothing else in the folder."""
    eventually(watched.textfile.exists)
    assert stat.S_IMODE(watched.textfile.stat().st_mode) == 0o644
    eventually(lambda: os.listdir(watched.textfile.parent) == [watched.textfile.name])


def test_the_rules_tell_what_the_agent_found(watched):
    """The alert of the swarm is one of Prometheus, of both jobs; all rules are loaded and well."""

    def firing():
        """The finding, firing for both jobs."""
        alerts = watched.prometheus.get("alerts")["alerts"]
        found = [a for a in alerts if a["labels"]["alertname"] == "NetworkHealthFinding"]
        return found if len(found) == 2 else None

    alerts = eventually(firing)
    labels = [each["labels"] for each in alerts]
    text = re.compile(r"\d+ sockets, limit 0 sockets\.( Culprit: \w+ port \d+\.)? Since \S+ \S+ \+0000 UTC\.")
    assert [each for each in alerts if not text.fullmatch(each["annotations"]["description"])] == []
    assert {(each["job"], each["check"], each["severity"]) for each in labels} == {
        ("agent", "connections", "warning"),
        ("node", "connections", "warning"),
    }

    def evaluated():
        """Every rule, evaluated without an error."""
        rules = [rule for group in watched.prometheus.get("rules")["groups"] for rule in group["rules"]]
        return sorted(rule["name"] for rule in rules if rule["health"] == "ok") == sorted(rule_names())

    eventually(evaluated)


def test_the_dashboard_asks_what_prometheus_can_answer(watched):
    """Each query is taken, and finds something if this host has its figures, but where it seeks trouble."""
    eventually(lambda: len(watched.prometheus.query("network_health_build_info")) == 2)
    names = {labels["__name__"] for labels, _ in watched.prometheus.query('{__name__=~"network_health_.+"}')}
    found = 0
    for expression in dashboard_expressions():
        watched.prometheus.query(expression)
        if set(NAME.findall(expression)) <= names and not re.search(r" [<>=]=? ?\d", expression):
            # A figure that is not known in one check has no sample until the next.
            eventually(lambda asked=expression: watched.prometheus.query(asked))
            found += 1
    assert found >= 10
    assert watched.prometheus.query(dashboard_expressions()[0]) == [({}, 2.0)]


def test_a_port_that_is_taken_harms_nobody(watched):
    """Pushed to a port of somebody else: told, the reports go on, and it is served when that is gone."""
    watched.quiet()
    owner = socket.create_server(("127.0.0.1", 0))
    address = f"127.0.0.1:{owner.getsockname()[1]}"
    trouble = f"prometheus_listen: '{address}' does not work (Address already in use)"
    with owner:
        watched.push(prometheus_listen=address)
        eventually(lambda: any(trouble in error for error in watched.errors()))
        with pytest.raises(ConnectionRefusedError):
            get(watched.address)
        seen = len(watched.reports())
        eventually(lambda: len(watched.reports()) >= seen + 2)
        assert samples(watched.textfile.read_bytes())["settings_errors",] == 1
    eventually(lambda: not watched.errors())
    assert get(address)[0] == 200
    assert len(watched.said(trouble)) == 1
    watched.push(prometheus_listen=watched.address)
    eventually(lambda: len(watched.said(f"served at http://{watched.address}/")) == 2)
    assert get(watched.address)[0] == 200
    with pytest.raises(ConnectionRefusedError):
        get(address)


def test_a_folder_that_is_gone_harms_nobody(watched):
    """Told once, the reports go on, and it is written when the folder is back."""
    watched.quiet()
    folder = watched.textfile.parent
    away = folder.with_name("away")
    folder.rename(away)
    trouble = f"prometheus_textfile: '{watched.textfile}' does not work (No such file or directory)"
    try:
        eventually(lambda: any(trouble in error for error in watched.errors()))
        seen = len(watched.reports())
        eventually(lambda: len(watched.reports()) >= seen + 2)
        assert samples(get(watched.address)[2])["settings_errors",] == 1
        assert len(watched.said(trouble)) == 1
    finally:
        away.rename(folder)
    eventually(lambda: not watched.errors())


def test_a_bad_push_leaves_both_as_they_are(watched):
    """A host name, a path that node_exporter would not read: refused whole."""
    watched.push(prometheus_listen="example.org:9101", prometheus_textfile="/tmp/figures.txt")
    (line,) = eventually(lambda: watched.said("Live config refused"))
    assert "prometheus_listen: 'example.org:9101' is not allowed" in line
    assert "prometheus_textfile: '/tmp/figures.txt' is not allowed" in line
    assert get(watched.address)[0] == 200
    before = watched.textfile.stat().st_mtime_ns
    eventually(lambda: watched.textfile.stat().st_mtime_ns > before)


def test_turned_off_nothing_is_left(watched):
    """No port, no file; the agent goes on."""
    watched.push(prometheus_listen=None, prometheus_textfile=None)
    eventually(lambda: not watched.textfile.exists())
    with pytest.raises(ConnectionRefusedError):
        get(watched.address)
    seen = len(watched.reports())
    eventually(lambda: len(watched.reports()) >= seen + 1)
    watched.push(prometheus_listen=watched.address, prometheus_textfile=str(watched.textfile))
    eventually(watched.textfile.exists)


def test_a_killed_agents_file_stays_and_is_told_to_be_old(watched):
    """The port is free, the figures are those of the last check, and their age grows."""
    eventually(watched.textfile.exists)
    os.kill(watched.swarm.pid(UID), signal.SIGKILL)

    def refused():
        """The port, no longer listened on."""
        try:
            get(watched.address)
        except (ConnectionRefusedError, ConnectionResetError):
            return True
        return False

    eventually(refused)
    assert samples(watched.textfile.read_bytes())["status", ("status", "healthy")] == 1
    late = f'time() - network_health_last_check_timestamp_seconds{{job="node"}} > {3 * INTERVAL_S}'
    eventually(lambda: watched.prometheus.query(late))
