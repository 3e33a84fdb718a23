"""What another program puts into the detective's ``summary`` folder does not stop or misuse it."""

import os
import time

import pytest

from tests.detective import Swarm, workspace
from tests.planted import CONTENT, KINDS, of_another_user, within

CRITICAL = {"service_name": "system.network", "severity": "CRITICAL", "status": "network_issue"}


@pytest.fixture(scope="module")
def detective_module(tmp_path_factory):
    """The detective's module, loaded from a workspace."""
    with workspace(tmp_path_factory.mktemp("workspace")) as module:
        yield module


@pytest.fixture
def swarm(detective_module, tmp_path):
    """A detective that has received no report yet."""
    return Swarm(detective_module, tmp_path)


def names(seconds):
    """The names of incident files from now on, and one of an hour ago."""
    now = time.time()
    times = [now - 3600, *(now + each for each in range(seconds))]
    return [f"{time.strftime('%Y%m%d-%H%M%S', time.localtime(t))}-system.network-failure.json" for t in times]


@pytest.mark.parametrize(
    "kind",
    [
        *(kind for kind in KINDS if kind.__name__ != "huge"),
        pytest.param(of_another_user, marks=pytest.mark.root),
    ],
)
def test_an_incident_is_written_to_a_file_of_its_own(swarm, tmp_path, kind):
    """It does not wait, no target is overwritten; one log line names what was removed."""
    victim = tmp_path / "victim"
    victim.write_text(CONTENT)
    old, *planted = names(30)
    for name in (old, *planted):
        kind(swarm.folder / name, victim)
    with within(10):
        swarm.ingest({**CRITICAL, "details": "eth0 is down"})
    assert (victim.read_text(), (tmp_path / "created").exists()) == (CONTENT, False)
    (written,) = set(os.listdir(swarm.folder)) - {old}
    assert "eth0 is down" in (swarm.folder / written).read_text()
    (line,) = [line for line in swarm.logged if "another program" in line]
    assert "-system.network-failure.json and 2" in line
    assert len(swarm.alerts) == 1


def test_incidents_are_not_removed(swarm):
    """Files of the detective stay, whenever they were written, and nothing is logged."""
    for name in names(30):
        (swarm.folder / name).write_text("{}")
    swarm.ingest({**CRITICAL, "details": "eth0 is down"})
    assert len(os.listdir(swarm.folder)) == 31
    assert [line for line in swarm.logged if "another program" in line] == []


def test_a_missing_folder_does_not_stop_the_alert(swarm):
    """The framework logs that it cannot write the file."""
    swarm.folder.rmdir()
    swarm.ingest({**CRITICAL, "details": "eth0 is down"})
    assert len(swarm.alerts) == 1
    assert "Failed to save event summary" in swarm.logged[-1]
