"""Provides workspaces: made by the framework's --init, with this project installed by its command."""

import json
import os
import shutil
import subprocess
from functools import cache

import pytest

from network_health.swarm.booting import launcher
from network_health.swarm.doctor import checks
from network_health.swarm.doctor.python import run_python
from tests.cli.command import run

_answer_of = cache(run_python)


@pytest.fixture(scope="module", autouse=True)
def _ask_each_python_once():
    """A doctor in this process asks the swarm's Python once, instead of in each test, what it can import."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checks, "run_python", _answer_of)
        yield


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A workspace for tests that only read it."""
    home = tmp_path_factory.mktemp("home")
    workspace = home / "workspace"
    subprocess.run(
        [launcher("matrixswarm-boot"), "--init", "--install-path", workspace],
        cwd=home,
        env=os.environ | {"HOME": str(home)},
        check=True,
        capture_output=True,
    )
    assert run("install", workspace, HOME=str(home)).returncode == 0
    return workspace


@pytest.fixture
def workspace(installed, tmp_path):
    """A workspace that a test may change."""
    path = tmp_path / "workspace"
    shutil.copytree(installed, path)
    places = (path / ".matrix").read_text()
    (path / ".matrix").write_text(json.dumps(json.loads(places) | {"install_path": str(path)}))
    return path
