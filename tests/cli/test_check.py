"""``network-health check`` through its real entry point, on a real kernel."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from network_health import Monitor
from network_health.cli.nagios import UNKNOWN, exit_status, status_line
from network_health.reporting import Painter, text_page
from network_health.settings import Settings
from tests.cli.command import at_a_terminal, inside, run
from tests.isolated import outside
from tests.netns import veth

#: One metric, by the guidelines of the Monitoring Plugins: 'label'=value[unit];[warn];[crit];[min];[max]
_N = r"-?\d+(?:\.\d+)?"
METRIC = re.compile(
    rf"'((?:[^'=|]|'')+)'=({_N}|U)(%|c|s|)(?:;({_N})?)?(?:;({_N})?)?(?:;({_N})?)?(?:;({_N})?)?(?: |$)"
)
QUICK = ("--seconds", "0.2")
ESCAPE = "\x1b["


def performance_data(line):
    """The metrics of a status line by label: (value, unit, warn, crit), ``None`` for ``U``; nothing else."""
    text = line.rstrip("\n").partition(" | ")[2]
    values = {m[1]: None if m[2] == "U" else float(m[2]) for m in METRIC.finditer(text)}
    found = {m[1]: (values[m[1]], m[3], m[4], m[5]) for m in METRIC.finditer(text)}
    assert "".join(m[0] for m in METRIC.finditer(text)) == text
    return found


def test_the_page():
    """In a pipe it is text without colours: severity, interfaces, connections, processes, cost."""
    done = run("check", *QUICK, "--conn-threshold", 10**9, "--tx-threshold-mbps", 10**6)
    assert done.stderr == ""
    assert ESCAPE not in done.stdout
    assert not done.stdout.endswith("\n\n")
    for title in (
        "Interfaces  limits: 1000000 Mbps out",
        "Connections ",
        "Busiest processes",
        "The check took",
    ):
        assert title in done.stdout
    rows = [line for line in done.stdout.splitlines() if re.match(r"  lo +up ", line)]
    assert len(rows) == 1
    assert rows[0].endswith("127.0.0.1 ::1") or rows[0].endswith("127.0.0.1")


def test_columns_are_aligned():
    """In every row of a table the values are below their title."""
    lines = run("check", *QUICK).stdout.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  name "))
    end = lines[start].index("out Mbps") + len("out Mbps")
    table = lines[start + 1 : lines.index("", start)]
    assert table
    assert all(re.fullmatch(r".*\d\.\d\d", line[:end]) and line[end : end + 2] == "  " for line in table)


def test_json_is_the_content_of_the_packet():
    """--json prints exactly the fields that the agent sends, as one JSON document."""
    done = run("check", *QUICK, "--json", "--exclude-interfaces", "lo", "--top-n-procs", 2)
    content = json.loads(done.stdout)
    expected = Monitor().check().as_content()
    assert content.keys() == expected.keys()
    assert content["metrics"].keys() >= {"interfaces", "total_connections", "by_status", "top_procs", "check"}
    assert len(content["metrics"]["top_procs"]) == 2
    assert "lo" not in [link["iface"] for link in content["metrics"]["interfaces"]]


def test_colours_at_a_terminal_only():
    """A terminal gets colours, unless NO_COLOR or TERM=dumb is set."""
    status, written = at_a_terminal("check", *QUICK, "--conn-threshold", 0)
    assert status in {0, 1}
    assert ESCAPE in written
    for variables in ({"NO_COLOR": "1"}, {"TERM": "dumb"}):
        assert ESCAPE not in at_a_terminal("check", *QUICK, **variables)[1]
    assert ESCAPE not in at_a_terminal("check", *QUICK, "--json")[1]
    assert ESCAPE not in at_a_terminal("check", *QUICK, "--nagios")[1]


@pytest.mark.root
def test_statuses_are_those_of_plugins(namespace):
    """0 within the limits, 1 above one, 2 if that is critical at once; the status line and the page agree."""
    space = namespace()
    listener = subprocess.Popen(
        ["ip", "netns", "exec", space.name, sys.executable, "-c", LISTEN], stdout=subprocess.PIPE
    )
    try:
        assert listener.stdout.readline() == b"open\n"
        for limit, extra, status, name in (
            (1, (), 0, "OK"),
            (0, (), 1, "WARNING"),
            (0, ("--alert-after-checks", "3"), 1, "WARNING"),
            (0, ("--critical-after-checks", "1"), 2, "CRITICAL"),
        ):
            words = ("check", *QUICK, "--conn-threshold", limit, *extra)
            plugin = inside(space, *words, "--nagios")
            assert plugin.returncode == status
            assert plugin.stdout.startswith(f"NETWORK {name} - ")
            assert plugin.stdout.count("\n") == 1
            critical = str(limit) if status == 2 else None
            assert performance_data(plugin.stdout)["connections"] == (1, "", str(limit), critical)
            assert inside(space, *words).returncode == inside(space, *words, "--json").returncode == status
    finally:
        listener.kill()
        listener.communicate()


LISTEN = """
import socket, time
held = socket.create_server(("127.0.0.1", 0))
print("open", flush=True)
time.sleep(60)
"""


@pytest.mark.root
def test_the_status_line_follows_the_guidelines(namespace):
    """Rates have their limit as the warning; totals have the unit of a counter."""
    done = inside(
        namespace(),
        "check",
        *QUICK,
        "--nagios",
        "--tx-threshold-mbps",
        2.5,
        "--conntrack-threshold-percent",
        75,
    )
    found = performance_data(done.stdout)
    assert found["lo_tx_mbps"] == (0, "", "2.5", None)
    assert found["lo_rx_mbps"] == (0, "", "100", None)
    assert found["lo_drops"] == (0, "c", None, None)
    assert found["connections"] == (0, "", "1000", None)
    assert found["check_time"][1] == "s"
    assert found["check_time"][0] > 0


def test_shares_are_percent():
    """A share has the unit ``%`` and, if it is on, its limit."""
    # Only the first network namespace of a host has these limits.
    words = ("check", *QUICK, "--nagios", "--tcp-memory-threshold-percent", 90)
    found = performance_data(run(*words, prefix=outside(Path.cwd())).stdout)
    assert found["tcp_memory_percent"][1:] == ("%", "90", None)
    assert found["orphans_percent"][1:] == ("%", None, None)


def test_a_name_cannot_break_the_line():
    """With any name of an interface the line stays one line of metrics."""
    content = Monitor().check().as_content()
    link = dict(content["metrics"]["interfaces"][0], iface="a'b=c|d e\n")
    content["metrics"] = dict(content["metrics"], interfaces=[link])
    content["details"] = "x | 'y'=1\nz"
    line = status_line(content, Settings(), 0)
    assert line.count("|") == 1
    assert "\n" not in line
    assert "a''b_c_d e__tx_mbps" in performance_data(line)


def test_an_unknown_value_is_u():
    """The 0 that the report has in its place is not a value, and ``null`` is none."""
    interface = {
        "iface": "eth0",
        "tx_rate_mbps": 0,
        "rx_rate_mbps": 2.5,
        "unknown": ["tx_rate_mbps", "drops"],
    }
    interface |= {"tx_errs": 0, "rx_errs": 7, "drops": 0}
    metrics = {"interfaces": [interface], "protocols": {"retransmit_percent": None}, "check": {"total_ms": 5}}
    line = status_line({"details": "x", "metrics": metrics}, Settings(), 0)
    assert line == (
        "NETWORK OK - x | 'eth0_tx_mbps'=U;100;;0 'eth0_rx_mbps'=2.5;100;;0 'eth0_tx_errs'=0c;;;0 "
        "'eth0_rx_errs'=7c;;;0 'eth0_drops'=U;;;0 'interfaces'=1;;;0 'all_tx_mbps'=U;;;0 "
        "'all_rx_mbps'=2.5;;;0 'all_tx_errs'=0c;;;0 'all_rx_errs'=7c;;;0 'all_drops'=U;;;0 "
        "'connections'=U;1000;;0 'retransmit_percent'=U;;;0;100 'check_time'=0.005s;;;0"
    )


@pytest.mark.root
def test_old_drops_are_not_reported_at_each_run(namespace):
    """Drops from before the check are a finding only with ``packet_errors: "total"``."""
    near, far = namespace(), namespace()
    veth(near, far)
    far.ip("link", "set", "vb", "mtu", "600")
    near.call(send_large)
    assert near.links()["va"]["stats64"]["tx"]["dropped"] or far.links()["vb"]["stats64"]["rx"][
        "errors"
    ] + sum(
        link["stats64"][direction]["dropped"] for link in near.links().values() for direction in ("tx", "rx")
    )
    now = inside(near, "check", *QUICK, "--json")
    assert json.loads(now.stdout)["status"] == "healthy"
    assert now.returncode == 0
    total = inside(near, "check", *QUICK, "--json", "--packet-errors", "total")
    assert "va errors: " in json.loads(total.stdout)["details"]
    assert total.returncode == 1


def send_large():
    """Send datagrams that are larger than the MTU of the other end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for _ in range(20):
            sender.sendto(bytes(1000), ("10.77.0.2", 9))


@pytest.mark.root
def test_a_check_without_a_reader_is_unknown():
    """Without /proc no reader can read processes: the status is UNKNOWN, and the line says why."""
    blind = ("unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc && exec "$0" "$@"')
    done = run("check", *QUICK, "--nagios", "--conn-threshold", 10**9, prefix=blind)
    assert done.returncode == UNKNOWN
    assert done.stdout.startswith("NETWORK UNKNOWN - Check of ")


def test_a_finding_is_worse_than_a_failure():
    """With both, the status is that of the finding."""
    content = {"status": "network_issue", "severity": "WARNING"}
    assert exit_status(content) == 1
    assert exit_status({"status": "check_failed", "severity": "WARNING"}) == UNKNOWN


def test_all_errors_are_reported_together():
    """Each is one sentence on stderr; nothing is on stdout, and the status is 3."""
    words = "stray --conn-threshold many --conn-treshold 5 --tx-threshold-mbps=fast --json --nag --seconds 0"
    words += " --link-down-alerts maybe --top-n-procs --redact cats --universal-id --config"
    done = run("check", *words.split())
    assert done.returncode == UNKNOWN
    assert done.stdout == ""
    lines = [line.removeprefix("network-health check: ") for line in done.stderr.splitlines()]
    starts = ["'stray': ", "--conn-treshold: unknown", "--nag: unknown", "--seconds: '0'"]
    starts += ["--tx-threshold-mbps: 'fast'", "--conn-threshold: 'many'", "--top-n-procs needs a value"]
    starts += ["--link-down-alerts: 'maybe'", "--redact: 'cats'"]
    starts += ["--config needs a value: give a file", "--universal-id needs a value: give a node"]
    assert sorted(start for start in starts for line in lines if line.startswith(start)) == sorted(starts)
    assert len(lines) == len(starts)
    assert "did you mean --conn-threshold?" in done.stderr


def test_errors_of_a_plugin_are_on_stdout():
    """Nagios reads only stdout."""
    done = run("check", "--nagios", "--conn-threshold", "many", "--config", "/nowhere|at all")
    assert done.returncode == UNKNOWN
    assert done.stdout.startswith("NETWORK UNKNOWN - ")
    assert "many" in done.stdout
    assert "/nowhere/at all cannot be read: No such file" in done.stdout
    assert "|" not in done.stdout


def test_a_closed_stdout():
    """The command ends with the status of the check and no message."""
    done = run("check", *QUICK, prefix=("sh", "-c", 'exec "$0" "$@" >&-'))
    assert done.returncode in {0, 1}
    assert done.stderr == ""


def test_arguments_of_any_bytes():
    """Bytes that are not text give an error message, not a crash."""
    done = run(
        "check", os.fsdecode(b"--conn-threshold=\xff\xfe"), os.fsdecode(b"--\xff"), PYTHONIOENCODING="ascii"
    )
    assert done.returncode == UNKNOWN
    assert done.stderr.count("network-health check: ") == 2


@pytest.mark.root
def test_a_breach_shows_its_culprit(namespace):
    """The page has the culprits of the report."""
    space = namespace()
    listener = subprocess.Popen(
        ["ip", "netns", "exec", space.name, sys.executable, "-c", LISTEN], stdout=subprocess.PIPE
    )
    try:
        assert listener.stdout.readline() == b"open\n"
        shown = inside(space, "check", *QUICK, "--conn-threshold", 0).stdout
    finally:
        listener.kill()
        listener.communicate()
    assert "High connection count: 1 > 0 (100% on :" in shown
    culprits = shown.partition("\nCulprits\n")[2]
    assert re.search(rf"^ +port \d+, .*pid {listener.pid}, name python", culprits, re.MULTILINE)
    assert "None" not in culprits


def test_the_page_has_no_control_characters():
    """Names of processes and interfaces cannot control the terminal."""
    content = Monitor().check().as_content()
    evil = "\x1b[2J\r\x07"
    link = dict(content["metrics"]["interfaces"][0], iface=evil, ip=[evil], ip6=[])
    unattributed = {"pid": None, "name": "unattributed", "user": None, "net_tx_mbps": 1.5, "net_rx_mbps": 0.0}
    content["details"] = evil
    content["metrics"] = dict(
        content["metrics"],
        interfaces=[link],
        top_procs=[{"pid": 1, "name": evil, "user": evil, "cpu_percent": 1.0, "rss_mb": 2.0}],
        top_network=[unattributed],
        coverage_percent=40.0,
        culprits={"connections": {evil: evil, "ports": [{"port": 5, "name": evil}]}},
        failures=[{"collector": evil, "reason": evil}],
    )
    shown = text_page(content, Settings(), Painter(on=False))
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert "Busiest on the network  40.0 % of the bytes have a known owner" in shown
    assert re.search(r"^ +- +unattributed +1\.50 +0\.00 +-$", shown, re.MULTILINE)


def test_the_page_cuts_lists_of_addresses():
    """An interface with thousands of addresses, or a culprit with many, does not fill the screen."""
    content = Monitor().check().as_content()
    addresses = [f"10.0.{n // 250}.{n % 250}" for n in range(3000)]
    link = dict(content["metrics"]["interfaces"][0], ip=addresses, ip6=["fe80::1"])
    culprits = {"connections": {"sources": addresses}}
    content["metrics"] = dict(content["metrics"], interfaces=[link], culprits=culprits)
    first = "10.0.0.0 10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4"
    shown = text_page(content, Settings(), Painter(on=False))
    assert re.findall(rf"{first}(.*)", shown) == [" (2996 more)", " (2995 more)"]
