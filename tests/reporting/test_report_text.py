"""A report as text: `repr` is one line, `str` the page of ``network-health check``."""

import re
import subprocess
import sys
from dataclasses import replace

from network_health import Report, Settings
from network_health.model import Protocols
from network_health.reporting import Painter, text_page
from tests.checked_host import CheckedHost, nic

PAGE = """\
WARNING  network_issue  2023-11-14 23:37:10
  eth0 outbound 250.5 Mbps > 200 Mbps

Interfaces  limits: 200 Mbps out, 100 Mbps in
  name  state  out Mbps  in Mbps  speed  new errors  new drops  addresses
  eth0  up       250.50     0.00      -           0          0

Connections 7  limit: 1000
  state        sockets
  ESTABLISHED        7

The check took 0.0 ms ()."""


def test_the_page_of_a_report():
    """It has the limits that the report was compared with, and prints without an empty line at its end."""
    code = (
        "from tests.checked_host import CheckedHost, nic\n"
        "print(CheckedHost(tx_threshold_mbps=200).check(nic(tx=250.5), connections=7))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"TZ": "UTC"}
    )
    assert done.stdout == f"{PAGE}\n"


def test_the_page_is_that_of_the_command():
    """It is what ``check`` prints where there are no colours."""
    report = CheckedHost(conn_threshold=5).check(nic(), connections=7)
    assert str(report) == text_page(report.as_content(), Settings(conn_threshold=5), Painter(on=False))


def test_what_is_not_known_is_a_dash():
    """A rate, a metric of a protocol, and a collector that failed: none is left out."""
    protocols = Protocols(retransmit_percent=None, listen_drops_per_sec=2.5)
    report = CheckedHost().check(nic(tx=None), protocols=protocols, failed=("connections",))
    page = str(report)
    assert re.search(r"^  eth0  up +- +0\.00 ", page, re.MULTILINE)
    assert re.search(r"^  retransmit +-  +off$", page, re.MULTILINE)
    assert re.search(r"^  listen drops +2\.5 /s +off$", page, re.MULTILINE)
    assert "\n\nConnections -  not known\n" in page


def test_long_lists_are_bounded():
    """The first findings; the interfaces with an alert, the busiest first; the number of the others."""
    links = [nic(f"eth{n:03}", tx=float(n), drops=int(n % 10 == 0)) for n in range(1000)]
    page = str(CheckedHost(tx_threshold_mbps=10**6).check(*links))
    findings, _, tables = page.partition("\n\nInterfaces")
    assert len(findings.splitlines()) == 42
    assert findings.endswith("\n  60 more findings")
    names = re.findall(r"^  (eth\d+) ", tables, re.MULTILINE)
    assert names == [f"eth{n}" for n in range(600, 1000, 10)]
    assert "\n  960 more, 60 of them with an alert\n" in tables
    healthy = [nic(f"eth{n:03}") for n in range(100)]
    assert "\n  60 more, without an alert\n" in str(CheckedHost().check(*healthy))


def test_a_host_without_connections_has_no_table_of_states():
    """Only their number, and the limit."""
    report = CheckedHost().check(nic())
    report = replace(report, metrics={**report.metrics, "total_connections": 0, "by_status": {}})
    assert "\n\nConnections 0  limit: 1000\n\n" in str(report)


def test_a_long_list_of_culprits_is_bounded():
    """The first 20, and the number of the others."""
    report = CheckedHost(conn_threshold=5).check(nic(), connections=7)
    ports = [{"port": n, "percent": 1.0} for n in range(1000)]
    report = replace(report, metrics={**report.metrics, "culprits": {"connections": {"ports": ports}}})
    shown = str(report).partition("\nCulprits\n")[2]
    assert re.findall(r"port (\d+), ", shown) == [str(n) for n in range(20)]
    assert "\n      (980 more)\n" in shown


def test_a_report_without_metrics_has_a_page():
    """One that another program made, with a severity of its own."""
    lines = str(Report("custom", "NOTICE", "first; second", {}, 1_700_000_000.0)).splitlines()
    assert [lines[0].split()[:2], *lines[1:]] == [["NOTICE", "custom"], "  first", "  second"]


def test_a_repr_is_one_line():
    """Severity, status, time and details, without control characters; long details are cut."""
    report = CheckedHost(conn_threshold=5).check(nic(), connections=7)
    sentence = "High connection count: 7 > 5"
    assert repr(report) == f"<Report WARNING network_issue 2023-11-14T23:37:10Z: {sentence}>"
    long = repr(Report("healthy", "INFO", "a\nb" + "c" * 1000, {}, 0.0))
    assert long == f"<Report INFO healthy 1970-01-01T00:00:00Z: a?b{'c' * 156}…>"
