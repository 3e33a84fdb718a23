"""Stores waiting reports: one JSON file each, in a folder that others may use as well.

Guarantees: only files that this module has named are touched. Their names sort by age. What is damaged, or
is not a file of this user, is renamed and never loaded; the newest few are kept. A file whose name has a
very high number does not make later reports unreadable.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from network_health.delivery.atomic_file import remove_temporary_files, write_atomically
from network_health.delivery.own_file import NotOwnFile, read_own

_DAMAGED_SUFFIX = ".damaged"
_DAMAGED_KEPT = 5
#: Many more than can wait: the rest was put there by another program.
_MOST_FILES = 1000
#: No agent makes so many reports. If another program has used a higher number, up to twelve digits are left.
_HIGHEST_NUMBER = 10**11
_NAME = re.compile(r"network-health-([0-9]{12})-[0-9]+\.report")
_DAMAGED_NAME = re.compile(_NAME.pattern + re.escape(_DAMAGED_SUFFIX))


class DamagedReport(ValueError):
    """A file of the spool does not hold a report."""


@dataclass(slots=True)
class QueuedReport:
    """A report that at least one node does not have yet.

    ``order`` is its place in the queue. ``durable``: it must not be lost. ``recipients``: the nodes that do
    not have it yet; empty while no receiver is known. ``reached``: at least one node has it. ``content`` is
    ``None`` while only the file at ``path`` has it; ``path`` is ``None`` while there is no file. ``stale``:
    the file is out of date, or cannot be read.
    """

    order: int
    report_id: str
    durable: bool
    recipients: list[str]
    reached: bool = False
    content: dict[str, Any] | None = None
    path: Path | None = None
    stale: bool = False


class Spool:
    """The folder. `load` and `save` raise `OSError` when the system refuses."""

    def __init__(self, folder: Path, log: Callable[[str], None]) -> None:
        self.folder = folder
        #: The number of the newest file at `load`.
        self.last_order = 0
        self._log = log

    def load(self) -> list[QueuedReport]:
        """All reports without their content, oldest first; damaged files are set aside.

        Raises:
            OSError: the folder cannot be listed. A single file that cannot be read is skipped.
        """
        self._make_folder()
        remove_temporary_files(self.folder)
        names = sorted(filter(_NAME.fullmatch, os.listdir(self.folder)))
        self.last_order = max((n for n in map(_number, names) if n <= _HIGHEST_NUMBER), default=0)
        if len(names) > _MOST_FILES:
            self._log(f"The queue folder has {len(names)} reports: only the newest {_MOST_FILES} are read")
        reports = list(self._reports(self.folder / name for name in names[-_MOST_FILES:]))
        for report in reports:
            if report.order > _HIGHEST_NUMBER:
                self._renumber(report)
        return reports

    def _reports(self, paths: Iterable[Path]) -> Iterator[QueuedReport]:
        for path in paths:
            try:
                report = read_report(path)
            except OSError as error:
                self._log(f"A waiting report cannot be read and is skipped: {path.name} ({error})")
            except DamagedReport as error:
                self.set_aside(path, error)
            else:
                report.content = None
                yield report

    def _renumber(self, report: QueuedReport) -> None:
        """Give ``report`` the number after the newest, so that numbers do not run out."""
        assert report.path is not None
        old, new = report.path, report.path
        while os.path.lexists(new):
            self.last_order += 1
            new = self._path(self.last_order)
        report.order = self.last_order
        self._log(f"A waiting report has too high a number: {old.name}, now {new.name}")
        with contextlib.suppress(OSError):  # it keeps its name, and is read again under it
            report.path = old.replace(new)

    def save(self, report: QueuedReport) -> None:
        """Write ``report``, which must have its content; a durable one is on the disk when this returns."""
        path = report.path or self._path(report.order)
        self._make_folder()
        write_atomically(path, _encode(report), durable=report.durable)
        report.path = path

    def _path(self, order: int) -> Path:
        return self.folder / f"network-health-{order:012d}-{os.getpid()}.report"

    def _make_folder(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(mode=0o700)

    def set_aside(self, path: Path, error: DamagedReport) -> None:
        """Rename a damaged file, so that an operator can inspect it; never raises."""
        self._log(f"A damaged report is set aside: {path.name}{_DAMAGED_SUFFIX} ({error})")
        with contextlib.suppress(OSError):
            path.replace(path.with_name(path.name + _DAMAGED_SUFFIX))
            damaged = sorted(filter(_DAMAGED_NAME.fullmatch, os.listdir(self.folder)))
            for name in damaged[:-_DAMAGED_KEPT]:
                with contextlib.suppress(OSError):  # a folder, or gone
                    (self.folder / name).unlink()


def _number(name: str) -> int:
    """The number in the name of a report's file: its place in the queue."""
    return int(name.split("-")[2])


def _encode(report: QueuedReport) -> bytes:
    return json.dumps(
        {
            "version": 1,
            "report_id": report.report_id,
            "durable": report.durable,
            "recipients": report.recipients,
            "reached": report.reached,
            "content": report.content,
        }
    ).encode()


def read_report(path: Path) -> QueuedReport:
    """The report in a file, with its content.

    Raises:
        OSError: the file cannot be read.
        DamagedReport: it holds no report.
    """
    try:
        data = json.loads(read_own(path))
    except NotOwnFile as error:
        raise DamagedReport(str(error)) from error
    except (ValueError, RecursionError) as error:
        raise DamagedReport(f"{type(error).__name__}: {error}") from error
    match data:
        case {
            "version": 1,
            "report_id": str(report_id),
            "durable": bool(durable),
            "recipients": list(recipients),
            "reached": bool(reached),
            "content": dict(content),
        } if all(isinstance(node, str) for node in recipients):
            return QueuedReport(_number(path.name), report_id, durable, recipients, reached, content, path)
    raise DamagedReport("not a report")
