"""``network-health doctor`` checks the export to Prometheus: file, port."""

import contextlib
import socket
import subprocess
import threading
import time

import pytest

from network_health import Monitor, Settings
from network_health.export import Exporter
from network_health.export.endpoint import Endpoint
from network_health.swarm.doctor.export import check_export
from tests.cli.test_doctor import DETECTIVE, agent, examined, faults, found
from tests.export.test_endpoint import free_port
from tests.rights import as_nobody


def findings(**config):
    """The findings for these settings as (state, says, do)."""
    settings = Settings.from_mapping(config)
    return [(finding.state, finding.says, finding.do) for finding in check_export("n", settings)]


def test_no_export_gives_no_finding():
    """Both settings are off."""
    assert findings() == []


def test_no_fault(installed, tmp_path):
    """The real command accepts a file that can be written and a port that is free."""
    config = {"prometheus_textfile": f"{tmp_path}/x.prom", "prometheus_listen": f":{free_port()}"}
    done = examined(installed, DETECTIVE, agent(repr(config)))
    assert faults(done) == []
    says = [finding[2] for finding in found(done) if finding[1] == "prometheus"]
    assert says[0] == f"n: {tmp_path}/x.prom can be written"
    assert says[1].endswith(" is free")
    assert list(tmp_path.glob("*.prom")) == []


def test_faults_are_faults(installed):
    """In the real command each fault has its line, and the exit status is 1."""
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
def test_what_does_not_work(config, state, says, do):
    """Each gives one finding with its remedy."""
    ((state_found, says_found, do_found),) = findings(**config)[:1]
    assert state_found == state
    assert says in says_found
    assert do in do_found


def test_a_folder_in_place_of_the_file(tmp_path):
    """The file cannot replace a folder."""
    (tmp_path / "x.prom").mkdir()
    ((state, says, _),) = findings(prometheus_textfile=f"{tmp_path}/x.prom")
    assert (state, says) == ("fault", f"n: {tmp_path}/x.prom is a folder")


@pytest.mark.root
def test_a_folder_of_another_user():
    """Rights are checked for the user that runs the doctor."""
    said = as_nobody(lambda: findings(prometheus_textfile="/usr/x.prom"))
    assert "/usr cannot be written by this user" in said


def test_a_port_of_another_program():
    """The fault has the command that shows the owner of the port."""
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        ((state, says, do),) = findings(prometheus_listen=f":{port}")
    assert (state, says) == ("fault", f"n: 127.0.0.1:{port} cannot be listened on: Address already in use")
    command = do.partition(" shows")[0]
    assert command == f"ss -ltnp 'sport = :{port}'"
    subprocess.run(command, shell=True, check=True, capture_output=True)


def test_a_port_of_another_web_server():
    """Its answers do not make it the agent."""
    with contextlib.closing(Endpoint(f"127.0.0.1:{free_port()}", lambda: b"up 1\n")) as other:
        assert findings(prometheus_listen=other.address)[0][0] == "fault"


def test_a_port_whose_owner_never_stops_answering():
    """The doctor waits for it only a few seconds."""

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


def test_the_agents_own_port():
    """While the agent runs, its port is in use, which is no fault."""
    settings = Settings(prometheus_listen=f"127.0.0.1:{free_port()}")
    with contextlib.closing(Exporter(print, print)) as exporter:
        exporter.publish(Monitor().check(), settings)
        ((state, says, _),) = findings(prometheus_listen=settings.prometheus_listen)
    assert (state, says) == ("ok", f"n: {settings.prometheus_listen} is already served by a running agent")


@pytest.mark.parametrize(("host", "is_open"), [("0.0.0.0", True), ("127.0.0.2", False), ("[::1]", False)])
def test_more_than_loopback_is_noted(host, is_open):
    """An address that other hosts can reach gives a note."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    states = [state for state, _, _ in findings(prometheus_listen=f"{host}:{free_port(family)}")]
    assert states == ["ok", *(["note"] if is_open else [])]
