"""Hosts that are set up as few are: the report is the same, or it says what is missing."""

import contextlib
import json
import re
import subprocess
import sys

import psutil
import pytest

from network_health.sources.linux import read_container_and_unit
from tests.cli.command import run

pytestmark = pytest.mark.root

#: Only the folders of processes are left in ``/proc``.
SUBSET = ("unshare", "--mount", "sh", "-c", 'mount -t proc -o subset=pid proc /proc && exec "$0" "$@"')
NO_LIMITS = (
    "connection tracking, orphans, TCP memory and ephemeral ports are not monitored: the limits of the "
    "kernel in /proc/sys/net are not visible"
)
SETTINGS = {
    "conn_threshold": 1,
    "conntrack_threshold_percent": 50,
    "orphan_threshold_percent": 50,
    "tcp_memory_threshold_percent": 50,
    "ephemeral_port_threshold_percent": 50,
}
#: The command shows no traceback, but psutil itself does; the oldest one that is supported does not.
needs_quiet_psutil = pytest.mark.skipif(
    psutil.version_info < (5, 9, 6), reason="an older psutil prints a traceback without /proc/stat"
)
#: Holds a connection over IPv4.
HOLD = """
import socket, time
server = socket.create_server(("127.0.0.1", 8123))
ends = socket.create_connection(("127.0.0.1", 8123)), server.accept()
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def host(namespace):
    """A namespace with one connection and its listener."""
    space = namespace()
    with contextlib.ExitStack() as stack:
        command = ["ip", "netns", "exec", space.name, sys.executable, "-c", HOLD]
        process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
        stack.callback(process.kill)
        assert process.stdout.readline() == b"ready\n"
        yield space


@pytest.fixture
def check(host, tmp_path):
    """Runs the command in the namespace behind ``prefix``; its report, which has no failures."""
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(SETTINGS))

    def run_check(*prefix):
        done = run(
            "check", "--json", "--config", settings, prefix=("ip", "netns", "exec", host.name, *prefix)
        )
        assert done.stderr == ""
        content = json.loads(done.stdout)
        assert "failures" not in content["metrics"]
        return content

    return run_check


@needs_quiet_psutil
def test_proc_with_processes_alone(check):
    """``subset=pid`` hides the limits of the kernel, and the report says so; all else is as without it."""
    plain, content = check(), check(*SUBSET)
    assert "protocols_note" not in plain["metrics"]
    assert content["metrics"]["protocols_note"] == NO_LIMITS
    for metrics in (plain["metrics"], content["metrics"]):
        assert metrics["by_status"] == {"ESTABLISHED": 2, "LISTEN": 1}
        assert set(metrics["check"]["readers"].values()) == {"kernel"}
    assert "ephemeral_ports" in plain["metrics"]["protocols"]
    assert content["details"] == plain["details"]
    assert "(100% on :8123 owned by python[" in content["details"]


def test_the_boot_has_one_id_without_the_kernels(tmp_path):
    """Two agents that start one after the other have the same id, so that counters are continued."""
    command = (sys.executable, "-c", "from network_health.sources import boot_id; print(boot_id())")
    ids = {subprocess.check_output([*SUBSET, *command], text=True) for _ in range(2)}
    (boot,) = ids
    assert re.fullmatch(r"boot-\d+00\n", boot)


@needs_quiet_psutil
def test_the_doctor_says_what_a_hidden_sysctl_costs(tmp_path):
    """It says so for the limits and for what is forwarded, and how to have both."""
    lines = run("doctor", tmp_path, prefix=SUBSET).stdout.splitlines()
    (limits,) = (n for n, line in enumerate(lines) if line.startswith("note   limits "))
    assert lines[limits].endswith(
        " /proc/sys/net is not visible: connection tracking, orphans, TCP memory and ephemeral ports are not "
        "monitored"
    )
    assert lines[limits + 1].endswith(" do: mount /proc without subset=pid where the swarm runs")
    (forwarding,) = (line for line in lines if line.startswith("note   forwarding "))
    assert "could not be checked: [Errno 2] /proc/sys/net does not exist" in forwarding


def test_without_ipv6(check):
    """Neither its files nor its sockets exist: the report has what IPv4 has."""
    plain, content = check(), check(sys.executable, "-m", "tests.without_ipv6")
    assert content["details"] == plain["details"]
    for key in ("by_status", "namespaces"):
        assert content["metrics"].get(key) == plain["metrics"].get(key)
    assert content["metrics"]["protocols"].keys() == plain["metrics"]["protocols"].keys()
    assert set(content["metrics"]["check"]["readers"].values()) == {"kernel"}


def test_a_container_of_cgroup_v1(tmp_path):
    """On a host with the hierarchies of version 1 the name comes from that of systemd."""
    name = "12ab" * 16
    with contextlib.ExitStack() as stack:
        options = "none,name=systemd"
        subprocess.run(["mount", "-t", "cgroup", "-o", options, "cgroup", tmp_path], check=True)
        stack.callback(subprocess.run, ["umount", tmp_path], check=True)
        folder = tmp_path / "docker" / name
        folder.mkdir(parents=True)
        stack.callback(lambda: (folder.rmdir(), folder.parent.rmdir()))
        process = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(process.kill)
        (folder / "cgroup.procs").write_text(str(process.pid))
        assert read_container_and_unit(process.pid) == (name[:12], None)
        process.kill()
        process.wait()
