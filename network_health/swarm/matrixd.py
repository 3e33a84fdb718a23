"""Words the commands that boot and end a swarm of MatrixOS, to be pasted into a shell."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

#: Where an agent's log is: ``<static>/<universe>/latest/comm/<universal_id>/logs/agent.log``.
STATIC = "universes/static"
_NEW_KEY = '"$(head -c 32 /dev/urandom | base64)"'


def boot(matrixos: Path, directive: Path, universe: str) -> str:
    """The command that boots ``directive``, with a key that is made for it."""
    return (
        f"{_matrixd(matrixos)} boot --universe {universe} --directive {shlex.quote(str(directive))} "
        f"--swarm_key {_NEW_KEY}"
    )


def kill(matrixos: Path, universe: str) -> str:
    """The command that ends the swarm."""
    return f"{_matrixd(matrixos)} kill --universe {universe}"


def _matrixd(matrixos: Path) -> str:
    """By this Python: its agents run in the Python that runs it, and need the library."""
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(matrixos / 'scripts' / 'matrixd'))}"
