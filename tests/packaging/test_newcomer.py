"""The README, followed to the letter by somebody new: from a checkout to a first alert."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from network_health.swarm import matrix_root
from tests.isolated import outside
from tests.packaging.pythons import uv

pytestmark = pytest.mark.packaging

_OUTSIDE = " ".join(outside('"$PWD"')) or "command"
#: The two commands of the README that download something.
DOWNLOADING = f'pip() {{ {_OUTSIDE} pip "$@"; }}\nuv() {{ {_OUTSIDE} uv "$@"; }}\n'
PRINTED = r"network-health install | sed -n '/^# Boot/,$p' > printed"


def readme_commands(tree):
    """The shell block of the section about the first alert."""
    section = (tree / "README.md").read_text().partition("## A first alert")[2]
    return re.search(r"```sh\n(.*?)```", section, re.DOTALL)[1]


def processes_of(universe):
    """The pids of a universe's agents."""
    found = subprocess.run(["pgrep", "-f", f"job {universe}:"], capture_output=True, text=True, check=False)
    return list(map(int, found.stdout.split()))


@pytest.mark.root
@pytest.mark.swarm
def test_from_the_readme_to_a_first_alert(built, tmp_path):
    """In a HOME that has nothing: the block of the README, then what the install prints."""
    universe = f"nh-newcomer-{os.getpid()}"
    commands = readme_commands(built.tree)
    # The universe of the printed commands is one for everybody: this one is not to end another's.
    follow = f"{PRINTED}\nsed -i s/network-health-demo/{universe}/g printed\nset +e\n. ./printed\n"
    cache = subprocess.run([uv(), "cache", "dir"], capture_output=True, text=True, check=True).stdout.strip()
    path = f"{Path(os.path.realpath(sys.executable)).parent}:{os.environ['PATH']}"
    claim = matrix_root.claim(universe)
    claim.folder.rmdir()  # the boot makes it
    try:
        done = subprocess.run(
            ["bash", "-e", "-c", DOWNLOADING + commands + follow],
            cwd=built.tree,
            env=os.environ | {"HOME": str(tmp_path), "UV_CACHE_DIR": cache, "PATH": path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        left = processes_of(universe)
        is_removed = not claim.folder.exists()
    finally:
        for pid in processes_of(universe):
            os.kill(pid, signal.SIGKILL)
        matrix_root.release(claim)
    said = done.stdout + done.stderr
    warning = re.search(r"WARNING: High connection count: (\d+) > (\d+)", said)
    assert warning, said
    assert int(warning[1]) > int(warning[2]) == 5000
    assert re.search(r"Recovered: connection count after \d+ s", said)
    assert left == []
    assert is_removed
