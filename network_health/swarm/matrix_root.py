"""``/matrix``, the fixed root of every swarm's state, claimed for one throwaway universe.

Laws: nothing of another universe is ever touched; what was made for the claim goes with its release,
``/matrix`` itself and ``/matrix/spawn.log`` included, unless another universe has come to use them.
"""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from network_health.swarm.errors import SwarmError

MATRIX = Path("/matrix")

#: Left in a ``/matrix`` that was made here: the last throwaway universe to go takes the folder with it.
_MARK = MATRIX / ".made-for-a-throwaway-universe"
_SPAWN_LOG = MATRIX / "spawn.log"


@dataclass(frozen=True, slots=True)
class Claim:
    """One universe's folder, and whether the log shared by all universes was there before it."""

    folder: Path
    found_spawn_log: bool


def claim(universe: str) -> Claim:
    """Make ``/matrix/<universe>``, and ``/matrix`` if it is missing.

    Raises:
        SwarmError: ``/matrix`` cannot be written; the sentence has the command that helps.
    """
    for _ in range(3):  # another universe may take an empty /matrix away between the two steps
        try:
            _make_root()
            found_spawn_log = _SPAWN_LOG.exists()
            if found_spawn_log and not os.access(_SPAWN_LOG, os.W_OK):
                raise PermissionError(_SPAWN_LOG)
            folder = MATRIX / universe
            folder.mkdir()
            return Claim(folder, found_spawn_log)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise SwarmError(_advice(error)) from error
    raise SwarmError(f"{MATRIX} keeps disappearing: another program removes it; try again when it has ended")


def _make_root() -> None:
    try:
        MATRIX.mkdir()
    except FileExistsError:
        return
    _MARK.touch()


def _advice(error: OSError) -> str:
    if isinstance(error, PermissionError) or not MATRIX.exists():
        command = " ".join(["sudo", *sys.argv])
        return f"a swarm keeps its state in {MATRIX}, which this user cannot write: run `{command}`"
    return f"a swarm keeps its state in {MATRIX}, which cannot be used: {error}"


def release(claimed: Claim) -> None:
    """Remove what the claim made. The universe's processes must have ended.

    Raises:
        OSError: something of the universe cannot be removed.
    """
    spawns = len(list(claimed.folder.glob("*/pod/*")))
    shutil.rmtree(claimed.folder, ignore_errors=not claimed.folder.exists())
    if _MARK.exists():
        if {path.name for path in MATRIX.iterdir()} <= {_MARK.name, _SPAWN_LOG.name}:
            _remove_root()
    elif not claimed.found_spawn_log and _lines(_SPAWN_LOG) <= spawns:  # none of them another universe's
        _SPAWN_LOG.unlink(missing_ok=True)


def _remove_root() -> None:
    _SPAWN_LOG.unlink(missing_ok=True)
    _MARK.unlink(missing_ok=True)
    try:
        MATRIX.rmdir()
    except FileNotFoundError:
        return  # another universe was quicker
    except OSError:  # another universe has moved in: the folder stays, and stays marked
        _MARK.touch()


def _lines(path: Path) -> int:
    try:
        return len(path.read_bytes().splitlines())
    except FileNotFoundError:
        return 0
