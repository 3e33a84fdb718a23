"""Creates and removes the folder of a temporary universe in ``/matrix``, the fixed root of all swarms.

Guarantees: nothing of another universe is changed. `release` removes all that `claim` created, ``/matrix``
and ``/matrix/spawn.log`` included, unless another universe uses them by then.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from network_health.swarm.errors import SwarmError
from network_health.swarm.untrusted_file import read_regular_file

MATRIX = Path("/matrix")

#: Marks a ``/matrix`` that was created here: the last temporary universe that ends removes it.
_MARKER = MATRIX / ".made-for-a-throwaway-universe"
_SPAWN_LOG = MATRIX / "spawn.log"


@dataclass(frozen=True, slots=True)
class Claim:
    """One universe's folder, and whether the log of all universes existed before it."""

    folder: Path
    found_spawn_log: bool


def require_writable() -> None:
    """Check that this user may keep a universe in ``/matrix``; nothing is created.

    Raises:
        SwarmError: ``/matrix`` cannot be written; the message has the command to run instead.
    """
    folder = MATRIX if os.path.exists(MATRIX) else MATRIX.parent
    is_log_denied = os.path.exists(_SPAWN_LOG) and not os.access(_SPAWN_LOG, os.W_OK)
    if is_log_denied or not os.access(folder, os.W_OK | os.X_OK):
        raise SwarmError(_advice(PermissionError(folder)))


def claim(universe: str) -> Claim:
    """Create ``/matrix/<universe>``, and ``/matrix`` if it does not exist.

    Raises:
        SwarmError: ``/matrix`` cannot be written; the message has the command to run instead.
    """
    require_writable()
    for _ in range(3):  # another universe may remove an empty /matrix between the two steps
        try:
            _create_root()
            found_spawn_log = _SPAWN_LOG.exists()
            folder = MATRIX / universe
            folder.mkdir()
            return Claim(folder, found_spawn_log)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SwarmError(_advice(error)) from error
    raise SwarmError(f"{MATRIX} keeps disappearing: another program removes it; try again when that ends")


def _create_root() -> None:
    try:
        MATRIX.mkdir()
    except FileExistsError:
        return
    _MARKER.touch()


def _advice(error: OSError) -> str:
    if isinstance(error, PermissionError) or not MATRIX.exists():
        command = " ".join(["sudo", *sys.argv])
        return f"a swarm keeps its state in {MATRIX}, which this user cannot write: run `{command}`"
    return f"a swarm keeps its state in {MATRIX}, which cannot be used: {error}"


def release(claimed: Claim) -> None:
    """Remove what `claim` created. The universe's processes must have ended.

    Raises:
        OSError: something of the universe cannot be removed.
    """
    spawns = len(list(claimed.folder.glob("*/pod/*")))
    shutil.rmtree(claimed.folder, ignore_errors=not claimed.folder.exists())
    if _MARKER.exists():
        if {path.name for path in MATRIX.iterdir()} <= {_MARKER.name, _SPAWN_LOG.name}:
            _remove_root()
    elif not claimed.found_spawn_log and _line_count(_SPAWN_LOG) <= spawns:  # no line is of another universe
        _SPAWN_LOG.unlink(missing_ok=True)


def _remove_root() -> None:
    _SPAWN_LOG.unlink(missing_ok=True)
    _MARKER.unlink(missing_ok=True)
    try:
        MATRIX.rmdir()
    except FileNotFoundError:
        return  # another universe has removed it
    except OSError:  # another universe uses it now
        _MARKER.touch()


def _line_count(path: Path) -> float:
    """Infinite if the log is too large to be that of one universe, or is not a file."""
    try:
        return len(read_regular_file(path).splitlines())
    except SwarmError as error:
        return 0 if isinstance(error.__cause__, FileNotFoundError) else math.inf
