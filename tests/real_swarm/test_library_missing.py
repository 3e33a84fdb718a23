"""An environment that has matrixswarm but not this library: the agent says so, and stays."""

import os
import subprocess
import sys
import time
from pathlib import Path

import matrixswarm
import pytest

from network_health.swarm import booting
from network_health.swarm.booting import Swarm
from tests.real_swarm.nodes import CATCHER, caught, eventually, holder, matrix, messages, node

pytestmark = [pytest.mark.root, pytest.mark.swarm]

UID = "net-1"
QUIET_S = 32  # three looks of the parent at whether its children live
LAUNCHER = """#!{python}
import sys
from importlib.metadata import entry_points
(script,) = entry_points(group="console_scripts", name="{name}")
sys.exit(script.load()())
"""


class Environment:
    """A virtual environment with everything that this one has, except the library."""

    def __init__(self, folder):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        self.python = folder / "bin" / "python"
        self._bin = folder / "bin"
        packages = Path(self.run("import sysconfig; print(sysconfig.get_path('purelib'))").stdout.strip())
        for entry in Path(matrixswarm.__file__).parent.parent.iterdir():
            if "network_health" not in entry.name and not (packages / entry.name).exists():
                (packages / entry.name).symlink_to(entry)

    def run(self, program):
        """A program under its Python, in its own folder and with no other place to import from."""
        here = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        command = [self.python, "-c", program]
        return subprocess.run(command, cwd=self._bin, env=here, capture_output=True, text=True)

    def launcher(self, name):
        """The framework's command of that name, as an installer would make it here."""
        path = self._bin / name
        path.write_text(LAUNCHER.format(python=self.python, name=name))
        path.chmod(0o755)
        return path


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The environment, made sure of: the framework is there, the library is not."""
    made = Environment(tmp_path_factory.mktemp("bare") / "env")
    assert made.run("import matrixswarm.core.boot_agent").returncode == 0
    assert "No module named 'network_health'" in made.run("import network_health").stderr
    return made


def test_the_agent_says_what_to_install_and_stays_alive_and_quiet(environment, monkeypatch):
    """One line with the command for the very Python it runs in; one process; no other line, no report."""
    monkeypatch.setattr(booting, "launcher", environment.launcher)
    directive = matrix(holder("catcher-1"), node(UID, "network_health", check_interval_sec=3))
    with Swarm(directive, encryption=False, extra_agents=CATCHER) as swarm:
        pid = swarm.pid(UID)
        log = swarm.comm / UID / "logs" / "agent.log"
        eventually(lambda: time.time() - log.stat().st_mtime > QUIET_S, 4 * QUIET_S)
        told = [line for line in messages(swarm, UID) if "cannot be imported" in line]
        assert Path(f"/proc/{pid}/exe").resolve() == environment.python.resolve()
        assert swarm.pid(UID) == pid
        assert len(list((swarm.comm / UID / "spawn").iterdir())) == 1
        assert caught(swarm, "catcher-1") == []
    assert len(told) == 1
    assert f"Install it: {environment.python} -m pip install matrixswarm-network-health" in told[0]
