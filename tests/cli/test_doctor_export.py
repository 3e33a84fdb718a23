"""``network-health doctor`` on the export to Prometheus: library, file, port."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from network_health import Monitor, Settings
from network_health.export import Exporter
from network_health.export.endpoint import Endpoint
from network_health.swarm.doctor.export import check_export
from tests.cli.test_doctor import DETECTIVE, agent, examined, faults, found
from tests.export.test_endpoint import free_port
from tests.rights import as_nobody

PYTHON = Path(sys.executable)


def findings(**config):
    """What is found of an agent with these settings: (state, says, do)."""
    settings = Settings.from_mapping(config)
    return [(finding.state, finding.says, finding.do) for finding in check_export("n", settings, PYTHON)]


def test_nothing_is_said_where_nothing_is_asked():
    """No finding, be the library there or not."""
    assert findings() == []
    assert list(check_export("n", Settings(), Path("/nowhere"))) == []


def test_all_well(installed, tmp_path):
    """Through the real command: a file that can be written, and a port that is free."""
    config = {"prometheus_textfile": f"{tmp_path}/x.prom", "prometheus_listen": f":{free_port()}"}
    done = examined(installed, DETECTIVE, agent(repr(config)))
    assert faults(done) == []
    says = [finding[2] for finding in found(done) if finding[1] == "prometheus"]
    assert says[0] == f"n: {tmp_path}/x.prom can be written"
    assert says[1].endswith(" is free")
    assert list(tmp_path.glob("*.prom")) == []


def test_faults_are_faults(installed):
    """Through the real command: each has its line, and the status tells."""
    config = {"prometheus_textfile": "/nowhere/x.prom", "prometheus_listen": "192.0.2.1:9101"}
    wrong = faults(examined(installed, DETECTIVE, agent(repr(config))))
    assert [subject for subject, _, _ in wrong] == ["prometheus"] * 2


@pytest.mark.parametrize(
    ("config", "state", "says", "do"),
    [
        (
            {"prometheus_textfile": "/nowhere/x.prom"},
            "fault",
            "the folder /nowhere does not exist",
            "install -d /nowhere",
        ),
        ({"prometheus_textfile": "/proc/self/status/x.prom"}, "fault", "does not exist", "install -d"),
        ({"prometheus_textfile": f"/tmp/{'x' * 300}.prom"}, "fault", "File name too long", "another folder"),
        ({"prometheus_listen": "192.0.2.1:9101"}, "fault", "Cannot assign", "an address of this host"),
    ],
)
def test_what_would_not_work(config, state, says, do):
    """One finding, with its remedy."""
    ((state_found, says_found, do_found),) = findings(**config)[:1]
    assert state_found == state
    assert says in says_found
    assert do in do_found


def test_a_folder_in_the_files_place(tmp_path):
    """It cannot be replaced."""
    (tmp_path / "x.prom").mkdir()
    ((state, says, _),) = findings(prometheus_textfile=f"{tmp_path}/x.prom")
    assert (state, says) == ("fault", f"n: {tmp_path}/x.prom is a folder")


@pytest.mark.root
def test_a_folder_of_somebody_else():
    """Seen as the user that runs the doctor."""
    said = as_nobody(lambda: findings(prometheus_textfile="/usr/x.prom"))
    assert "/usr cannot be written by this user" in said


def test_a_port_that_another_program_has():
    """A fault, with the command that says whose it is."""
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        ((state, says, do),) = findings(prometheus_listen=f":{port}")
    assert (state, says) == ("fault", f"n: 127.0.0.1:{port} cannot be listened on: Address already in use")
    command = do.partition(" shows")[0]
    assert command == f"ss -ltnp 'sport = :{port}'"
    subprocess.run(command, shell=True, check=True, capture_output=True)


def test_a_port_that_another_web_server_has():
    """Whatever it answers, it is not the agent."""
    with contextlib.closing(Endpoint(f"127.0.0.1:{free_port()}", lambda: b"up 1\n")) as other:
        assert findings(prometheus_listen=other.address)[0][0] == "fault"


def test_a_port_whose_owner_answers_for_ever():
    """One byte now and then: it is not waited for longer than anything else."""

    def drip(server):
        connection = server.accept()[0]
        with contextlib.suppress(OSError), connection:
            while True:
                connection.sendall(b"x")
                time.sleep(0.1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=drip, args=(server,), daemon=True).start()
        began = time.monotonic()
        assert findings(prometheus_listen=f":{server.getsockname()[1]}")[0][0] == "fault"
    assert 1 < time.monotonic() - began < 5


def test_a_port_that_the_agent_has_itself():
    """While it runs, its port is rightly taken."""
    settings = Settings(prometheus_listen=f"127.0.0.1:{free_port()}")
    with contextlib.closing(Exporter(print, print)) as exporter:
        exporter.publish(Monitor().check(), settings)
        ((state, says, _),) = findings(prometheus_listen=settings.prometheus_listen)
    assert (state, says) == (
        "ok",
        f"n: {settings.prometheus_listen} is already served by a running agent",
    )


@pytest.mark.parametrize(("host", "is_open"), [("0.0.0.0", True), ("127.0.0.2", False), ("[::1]", False)])
def test_more_than_loopback_is_noted(host, is_open):
    """Nobody opens the figures to a network without having been told."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    states = [state for state, _, _ in findings(prometheus_listen=f"{host}:{free_port(family)}")]
    assert states == ["ok", *(["note"] if is_open else [])]


def test_a_python_without_the_library(tmp_path):
    """The fault names that Python's own pip command."""
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    settings = Settings(prometheus_listen=f"127.0.0.1:{free_port()}")
    first = next(check_export("n", settings, bare / "bin" / "python"))
    assert first.state == "fault"
    assert first.do == f"{bare}/bin/python -m pip install 'matrixswarm-network-health[prometheus]'"
    assert next(check_export("n", settings, tmp_path / "none")).says.endswith("is free")
