"""Checks whether agents keep a history, and whether each file can be read and grows.

Guarantees: nothing is written.
"""

from __future__ import annotations

import glob
import shlex
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from network_health.history import History, HistoryError
from network_health.settings import Settings
from network_health.swarm.doctor.finding import Finding, fault, note, ok
from network_health.swarm.doctor.own_file_path import check_file
from network_health.swarm.history_files import history_files
from network_health.swarm.matrix_root import MATRIX

_SUBJECT = "history"
#: After so many intervals without a check the agent does not run, or cannot write.
_MISSED_CHECKS = 3


def check_history(uid: str, settings: Settings) -> Iterator[Finding]:
    """Findings about the history that an agent with these settings would keep."""
    if not settings.history:
        says = f"{uid}: no history is kept, so what was before an alert cannot be looked up"
        yield note(_SUBJECT, says, f'add "history": true to the config of {uid}')
        return
    folder = MATRIX
    if isinstance(settings.history, str):
        path = Path(settings.history)
        folder = path.parent
        found = check_file(_SUBJECT, uid, "history", path)
        yield found
        if found.state == "ok" and path.is_file():
            yield from check_kept(path)
    else:
        yield ok(_SUBJECT, f"{uid}: a history is kept in the agent's own folder")
    yield from _space(uid, folder, settings.history_max_mb)


def _space(uid: str, folder: Path, max_mb: int) -> Iterator[Finding]:
    """A note if the disk has less space than the history may need."""
    try:
        free_mb = shutil.disk_usage(folder).free / 1e6
    except OSError:  # it does not exist yet, or check_file reports it
        return
    if free_mb < max_mb:
        says = f"{uid}: {folder} has {free_mb:.0f} MB of free space, and the history may grow to {max_mb} MB"
        yield note(_SUBJECT, says, "free some space, or lower history_max_mb")


def check_kept_histories(root: Path = MATRIX) -> Iterator[Finding]:
    """Findings about the histories that the agents of this host keep in their own folders."""
    for kept in history_files(root):
        yield from check_kept(kept.path)


def check_kept(path: Path) -> Iterator[Finding]:
    """Findings about one file: can it be read, does it grow, was a damaged one set aside."""
    try:
        with History.open(path) as history:
            size_mb = history.size_bytes / 1e6
            first_at, last_at, interval_s = history.first_at, history.last_at, history.interval_s
    except (HistoryError, OSError) as error:
        yield fault(_SUBJECT, str(error), "run this as root or as the swarm's user, or move the file away")
        return
    do = f"network-health history {shlex.quote(str(path))}"
    if first_at is None or last_at is None:
        yield note(_SUBJECT, f"{path} has no check yet", do)
    elif time.time() - last_at > _MISSED_CHECKS * interval_s:
        says = f"{path}: the last check is of {_date(last_at)}: its agent does not run, or cannot write"
        yield note(_SUBJECT, says, f"look at the agent.log of its agent; what is kept: {do}")
    else:
        yield ok(_SUBJECT, f"{path}: {size_mb:.1f} MB, since {_date(first_at)}; to read it: {do}")
    yield from _set_aside(path)


def _set_aside(path: Path) -> Iterator[Finding]:
    damaged = sorted(path.parent.glob(f"{glob.escape(path.name)}.damaged-*"))
    if damaged:
        names = " ".join(shlex.quote(str(file)) for file in damaged)
        yield note(_SUBJECT, f"{path}: damaged files were set aside", f"if nobody needs them: rm {names}")


def _date(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
