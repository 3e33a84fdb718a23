"""A temporary swarm that does not come up says why and leaves nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from network_health.swarm import booting
from network_health.swarm.booting import Swarm, launcher, wait_until
from network_health.swarm.errors import SwarmError
from network_health.swarm.payload import framework_source

DIRECTIVE = {
    "universal_id": "matrix",
    "name": "matrix",
    "children": [{"universal_id": "odd-1", "name": "odd"}],
}


def leavings(swarm):
    """Its folder and its processes, if there still are any."""
    folder = Path("/matrix") / swarm.universe
    return [folder] * folder.exists() + swarm.processes()


@pytest.mark.root
@pytest.mark.swarm
def test_an_agent_that_never_lives(monkeypatch):
    """The node is named, and the ones that did live are ended."""
    monkeypatch.setattr(booting, "_NODES_S", 4.0)
    steps = []
    swarm = Swarm(DIRECTIVE, extra_agents={"odd": "raise SystemExit\n"}, progress=steps.append)
    with pytest.raises(SwarmError, match="a heartbeat of odd-1 did not come within 4 s"), swarm:
        pass
    assert steps[-2:] == ["starting matrix", "starting odd-1"]
    assert swarm.is_gone
    assert leavings(swarm) == []


@pytest.mark.root
@pytest.mark.swarm
def test_a_launcher_that_fails_or_hangs(monkeypatch):
    """Its own last words are passed on; it is not waited for without end."""
    swarm = Swarm({"universal_id": "not-matrix", "name": "matrix"})
    with pytest.raises(SwarmError, match=r"matrixswarm-boot failed with status 1: \w+Error: "), swarm:
        pass
    assert leavings(swarm) == []
    monkeypatch.setattr(booting, "_BOOT_S", 0.1)
    swarm = Swarm(DIRECTIVE)
    with pytest.raises(SwarmError, match="matrixswarm-boot did not end within 0 s"), swarm:
        pass
    assert leavings(swarm) == []


def test_what_is_not_booted_has_no_place():
    """Neither a home nor a process; killing it is no error."""
    swarm = Swarm(DIRECTIVE)
    with pytest.raises(SwarmError, match="is not booted"):
        _ = swarm.home
    with pytest.raises(SwarmError, match="has not spawned odd-1"):
        swarm.pid("odd-1")
    assert swarm.log("odd-1") == ""
    swarm.kill()
    assert swarm.is_gone


def test_a_condition_that_stays_false():
    """What was waited for is named."""
    with pytest.raises(SwarmError, match="rain did not come within 0 s"):
        wait_until(lambda: False, 0, "rain")


def test_the_framework_is_missing(monkeypatch, tmp_path):
    """The sentence has the command that installs it into this very environment."""
    command = f"run `{sys.executable} -m pip install {framework_source()}`"
    with pytest.raises(SwarmError, match=re.escape(command)):
        launcher("matrixswarm-nothing")
    elsewhere = tmp_path / "matrixswarm-nothing"
    elsewhere.write_text("#!/bin/sh\n")
    elsewhere.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert launcher("matrixswarm-nothing") == elsewhere


def test_the_command_without_a_subcommand():
    """It says which there are."""
    command = Path(sys.executable).parent / "network-health"
    done = subprocess.run([command], capture_output=True, text=True)
    assert done.returncode == 2
    assert "COMMAND" in done.stderr
    listing = subprocess.run([command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "install" in listing
    assert "demo" in listing
