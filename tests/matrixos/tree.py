"""Boots a swarm of MatrixOS with its own ``matrixd``, in the ``/matrix`` of this test's isolated host.

The agents run in this Python, which has MatrixSwarm as well: an environment in which the import alone would
find the wrong framework.
"""

import base64
import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from network_health.swarm import Workspace, install
from network_health.swarm.spawn_records import newest_records
from tests import isolated
from tests.real_swarm.nodes import eventually

VARIABLE = "MATRIXOS_TREE"
MATRIX = Path("/matrix")
AGENTS = MATRIX / "agents" / "python_core"
RECEIVER = (Path(__file__).parent / "agents" / "receiver.py").read_text()


def needs_tree():
    """Skip the tests of a module where there is no copy of MatrixOS, or no ``/matrix`` for it."""
    if not os.environ.get(VARIABLE):
        pytest.skip(f"{VARIABLE} names no copy of MatrixOS", allow_module_level=True)
    if isolated.VARIABLE not in os.environ:
        pytest.skip("needs root: /matrix is fixed, so each run has its own", allow_module_level=True)


class MatrixOS:
    """A copy of the tree in ``/matrix``, with this project installed, as a context manager."""

    def __enter__(self):
        MATRIX.mkdir(exist_ok=True)
        self._found = set(os.listdir(MATRIX))
        shutil.copytree(os.environ[VARIABLE], MATRIX, dirs_exist_ok=True)
        install(Workspace.at(MATRIX))
        return self

    def __exit__(self, *_):
        for name in set(os.listdir(MATRIX)) - self._found:
            path = MATRIX / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()


class BootedSwarm:
    """A swarm as a context manager, with what `tests.real_swarm.nodes` needs of one."""

    def __init__(self, directive, *, encryption):
        self._directive, self._encryption = directive, encryption
        self.universe = f"nh-{os.getpid()}-{secrets.token_hex(4)}"
        self.key = base64.b64encode(secrets.token_bytes(32)).decode()

    def __enter__(self):
        folder = AGENTS / "receiver"
        folder.mkdir(exist_ok=True)
        (folder / "receiver.py").write_text(RECEIVER)
        path = MATRIX / "boot_directives" / f"{self.universe}.json"
        path.write_text(json.dumps(self._directive))
        command = [sys.executable, MATRIX / "scripts" / "matrixd", "boot", "--universe", self.universe]
        command += ["--directive", path, "--swarm_key", self.key]
        command += [] if self._encryption else ["--encryption-off"]
        done = subprocess.run(command, cwd="/", capture_output=True, encoding="utf-8", timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    def __exit__(self, *_):
        eventually(self._is_ended)

    def _is_ended(self):
        """Kill the processes; true if there was none, and a moment later none that was just being started."""
        pids = self._pids()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
        return not pids and not self._pids()

    def _pids(self):
        command = ["pgrep", "-f", f"job {self.universe}:"]
        return list(map(int, subprocess.run(command, capture_output=True, text=True).stdout.split()))

    @property
    def comm(self):
        """The folder of all nodes."""
        return MATRIX / "universes" / "runtime" / self.universe / "latest" / "comm"

    def log(self, uid):
        """The text of a node's log."""
        path = MATRIX / "universes" / "static" / self.universe / "latest/comm" / uid / "logs/agent.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def pid(self, uid):
        """The process of a node, once it has one."""
        return eventually(lambda: newest_records(self.comm).get(uid)).pid
