"""The wheel, installed on each Python and used far from the checkout: what a user meets."""

import json
import re
from pathlib import Path

import pytest

from network_health.swarm.payload import payload_files
from tests.packaging.conftest import Environment

pytestmark = pytest.mark.packaging

#: Imports every module; writes a line for each that lacks a package, then version and place.
IMPORT_ALL = """
import importlib, pkgutil, sys, network_health
for module in pkgutil.walk_packages(network_health.__path__, "network_health."):
    if ".payload" not in module.name:
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:
            print(module.name, error.name)
print("%d.%d" % sys.version_info[:2], network_health.__file__)
"""
#: What a module may lack without the extras: those that draw.
LACKING = re.compile(r"network_health\.cli\.watch\.\w+ rich(\.\w+)*")
#: Runs a command at a terminal, and what it wrote there is written.
AT_A_TERMINAL = "import pty, sys; pty.spawn(sys.argv[1:])"
#: The same, until it has written the first argument.
UNTIL_IT_SHOWS = """
import os, pty, signal, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
written = b""
while sys.argv[1].encode() not in written:
    written += os.read(terminal, 65536)
os.kill(pid, signal.SIGKILL)
"""
#: What other programs on this host do is not this test's to judge.
QUIET = ("--conn-threshold", "1000000", "--exclude-interfaces", "*")
TOML = 'top_n_procs = 2\nconn_threshold = 1000000\nexclude_interfaces = ["*"]\n'


@pytest.fixture(scope="session")
def workspace(environment):
    """A new workspace of the framework's own making, with the agent put into it by the command."""
    path = environment.home / "workspace"
    environment.run("matrixswarm-boot", "--init", "--install-path", path)
    environment.run("network-health", "install", path)
    return path


def test_everything_can_be_imported(environment):
    """On this Python, from the environment's own folder; what needs an extra is few modules that say so."""
    *lacking, last = environment.run("python", "-c", IMPORT_ALL).splitlines()
    assert [line for line in lacking if not LACKING.fullmatch(line)] == []
    version, path = last.split()
    assert version == environment.version
    assert path.startswith(str(environment.bin.parent))


def test_the_framework_it_is_for_is_there(environment):
    """matrixswarm of a version that it was made for."""
    version = environment.run(
        "python", "-c", "from importlib.metadata import version as v; print(v('matrixswarm'))"
    )
    assert tuple(map(int, version.split("."))) >= (1, 0, 19)


def test_install(environment, workspace):
    """The agent, its investigator and the directives are in the workspace as they are in the checkout."""
    for name, content in payload_files().items():
        assert (workspace / name).read_bytes() == content, name
    again = environment.run("network-health", "install", workspace)
    assert "nothing was changed" in again
    assert f"{environment.bin}/" not in again  # its commands are found by name, and can be pasted


@pytest.mark.root
def test_doctor(environment, workspace):
    """Nothing would keep the demo directive from working."""
    said = environment.run("network-health", "doctor", workspace, "--directive", "network_health_demo")
    assert f"Python {environment.version}" in said
    assert "fault" not in said


def test_check(environment):
    """One check as JSON: the packet's content."""
    content = json.loads(environment.run("network-health", "check", "--json", *QUIET))
    assert content["source_agent"] == "NetworkHealthMonitor"
    assert {"interfaces", "total_connections", "by_status", "top_procs", "check"} <= content["metrics"].keys()


@pytest.mark.root
@pytest.mark.swarm
def test_demo(environment):
    """A real swarm warns of a real breach and of its end, and is gone."""
    told = environment.run("network-health", "demo", seconds=240)
    reports = re.findall(r"^\d\d:\d\d:\d\d  (\w+) +(.*)$", told, re.MULTILINE)
    breached = ["High connection count" in details for _, details in reports]
    assert True in breached
    assert breached[-1] is False
    assert {severity for (severity, _), is_breach in zip(reports, breached, strict=True) if is_breach} == {
        "WARNING"
    }
    assert "Nothing is left of it." in told


def test_fleet(environment):
    """The rules, the dashboard and the directive are in the environment, where the command says."""
    for line in environment.run("network-health", "fleet").splitlines():
        name, path = line.split(maxsplit=1)
        assert path.startswith(str(environment.bin.parent))
        assert Path(path).stat().st_size > 100, name


def test_toml_without_the_extra(environment):
    """Python's own reader from 3.11 on; before that the sentence names the extra, and JSON."""
    (environment.home / "settings.toml").write_text(TOML)
    command = ("network-health", "check", "--json", "--config", "settings.toml")
    if environment.version == "3.10":
        assert "pip install 'matrixswarm-network-health[cli]'" in environment.run(*command, status=3)
    else:
        assert_obeyed(environment, command)


def test_commands_without_their_extra(environment):
    """What draws says which extra it needs and how to get it; the export to Prometheus needs none."""
    watch = environment.run("python", "-c", AT_A_TERMINAL, "network-health", "watch")
    assert "pip install 'matrixswarm-network-health[cli]'" in watch
    exported = environment.home / "a.prom"
    environment.run("network-health", "check", *QUIET, "--prometheus-textfile", exported)
    assert "network_health_status" in exported.read_text()


def test_without_a_framework(environment, built, tmp_path):
    """Every module can be imported; ``check`` and ``watch`` run, and ``demo`` says what it needs."""
    alone = Environment(tmp_path, environment.version, f"{built.wheel}[cli]")
    no_framework = "from importlib.util import find_spec; assert find_spec('matrixswarm') is None"
    assert len(alone.run("python", "-c", f"import rich; {no_framework}\n{IMPORT_ALL}").splitlines()) == 1
    (alone.home / "settings.toml").write_text(TOML)
    assert_obeyed(alone, ("network-health", "check", "--json", "--config", "settings.toml"))
    alone.run("python", "-c", UNTIL_IT_SHOWS, "interface", "network-health", "watch")
    assert "[swarm]" in alone.run("network-health", "demo", status=1)


def assert_obeyed(environment, command):
    """The command does as the file says."""
    assert len(json.loads(environment.run(*command))["metrics"]["top_procs"]) == 2
