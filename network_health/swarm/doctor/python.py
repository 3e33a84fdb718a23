"""Finds the Python that runs the agents of a swarm, and runs code in it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from network_health.swarm.booting import launcher
from network_health.swarm.errors import SwarmError

#: How pip begins the second line of a launcher that a shell has to start.
_SHELL_EXEC = "'''exec' "
_IMPORT_S = 60.0


def swarm_python() -> Path:
    """The Python that runs every agent of a swarm: the one in the first lines of ``matrixswarm-boot``."""
    own = Path(sys.executable)
    try:
        head = launcher("matrixswarm-boot").read_text("utf-8").splitlines()[:2]
        # A long path, or one with spaces, is not allowed in a #! line: pip then starts Python by a shell.
        is_shell = len(head) > 1 and head[1].startswith(_SHELL_EXEC)
        words = shlex.split(head[1].removeprefix(_SHELL_EXEC) if is_shell else head[0].removeprefix("#!"))
        if Path(words[0]).name == "env":
            words = [shutil.which(words[1]) or ""]
    except (SwarmError, OSError, ValueError, IndexError):  # no launcher, or not a Python script
        return own
    return Path(words[0]) if Path(words[0]).name.startswith("python") else own


def run_python(python: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run ``code`` in another Python.

    Raises:
        OSError, subprocess.TimeoutExpired: that Python cannot be started, or does not end.
    """
    return subprocess.run(  # noqa: S603 - the swarm's own Python, by its path, without a shell
        [python, "-c", code, *arguments],
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=_IMPORT_S,
        cwd="/",  # a folder named network_health in the current one would be imported instead
        check=False,
    )
