"""Words the commands that boot and end a swarm of MatrixOS, to be pasted into a shell."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

from network_health.swarm.encrypted_directive import is_encrypted_file

#: Where an agent's log is: ``<static>/<universe>/latest/comm/<universal_id>/logs/agent.log``.
STATIC = "universes/static"
#: How the name of an encrypted directive ends: no other one is decrypted.
ENCRYPTED_SUFFIX = ".enc.json"
#: Makes a key, for a swarm whose directive is not encrypted.
_NEW_KEY = '"$(head -c 32 /dev/urandom | base64)"'


def boot(matrixos: Path, directive: Path, universe: str) -> str:
    """The command that boots ``directive``."""
    key = "KEY" if is_encrypted_file(directive) else _NEW_KEY
    return (
        f"{_matrixd(matrixos)} boot --universe {universe} --directive {shlex.quote(str(directive))} "
        f"--swarm_key {key}"
    )


def kill(matrixos: Path, universe: str) -> str:
    """The command that ends the swarm."""
    return f"{_matrixd(matrixos)} kill --universe {universe}"


def _matrixd(matrixos: Path) -> str:
    """By this Python: its agents run in the Python that runs it, and need the library."""
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(matrixos / 'scripts' / 'matrixd'))}"
