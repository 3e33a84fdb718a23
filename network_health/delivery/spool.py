"""The files in which reports wait: one JSON object each, in a folder that others may use as well.

Laws: only names of this module's own pattern are touched; the names sort by age; a file that cannot be
understood is set aside under another name (the newest few are kept), never loaded and never fatal.
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

from network_health.delivery import atomic_file

_NAME = re.compile(r"network-health-([0-9]{12})-[0-9]+\.report")
_SET_ASIDE = ".damaged"
_SET_ASIDE_KEPT = 5
#: Stands for the severity of an INFO that must arrive like an alert.
KEPT = "KEPT"
_SEVERITIES = frozenset({"INFO", KEPT, "WARNING", "CRITICAL"})


class Damaged(ValueError):
    """A file of the spool does not hold a report."""


@dataclass(slots=True)
class Waiting:
    """A report that somebody has yet to get.

    ``recipients`` are the nodes that lack it, ``None`` while nobody is known who should have it;
    ``reached`` says that at least one node has it. ``content`` is ``None`` when it is to be read from
    ``path``; ``path`` is ``None`` while there is no file. ``stale`` means that the file does not yet say
    what it should, or cannot be read.
    """

    order: int
    report_id: str
    severity: str
    recipients: list[str] | None
    reached: bool = False
    content: dict[str, Any] | None = None
    path: Path | None = None
    stale: bool = False

    @property
    def is_alert(self) -> bool:
        """Whether it must not be lost."""
        return self.severity != "INFO"


class Spool:
    """The folder. Its methods raise `OSError` when the system refuses."""

    def __init__(self, folder: Path, log: Callable[[str], None]) -> None:
        self.folder = folder
        self._log = log

    def load(self) -> list[Waiting]:
        """All reports, oldest first, without their content; sets damaged files aside.

        Raises:
            OSError: the folder cannot be listed; a single file that cannot be read is left in place.
        """
        self._make_folder()
        names = sorted(os.listdir(self.folder))
        for name in names:
            if _NAME.fullmatch(name.removesuffix(atomic_file.TEMPORARY)) and name.endswith(
                atomic_file.TEMPORARY
            ):
                with contextlib.suppress(OSError):
                    (self.folder / name).unlink()
        return list(self._reports(self.folder / name for name in names if _NAME.fullmatch(name)))

    def _reports(self, paths: Iterable[Path]) -> Iterator[Waiting]:
        for path in paths:
            try:
                report = _parse(path)
            except OSError as error:
                self._log(f"A waiting report cannot be read and stays where it is: {path.name} ({error})")
            except Damaged as error:
                self.set_aside(path, error)
            else:
                report.content = None
                yield report

    def save(self, report: Waiting) -> None:
        """Write ``report``, which has its content, to its file; an alert's is on the disk then."""
        path = report.path or self.folder / f"network-health-{report.order:012d}-{os.getpid()}.report"
        self._make_folder()
        atomic_file.write_whole(path, _encode(report), durable=report.is_alert)
        report.path = path

    def _make_folder(self) -> None:
        with contextlib.suppress(FileExistsError):
            self.folder.mkdir(mode=0o700)

    def read(self, path: Path) -> dict[str, Any]:
        """The content of the report in ``path``.

        Raises:
            Damaged: it holds no report.
        """
        content = _parse(path).content
        assert content is not None  # what _parse returns has it
        return content

    def set_aside(self, path: Path, why: Damaged) -> None:
        """Take a damaged file out of the way, for somebody to look at; never raises."""
        self._log(f"A damaged report is set aside: {path.name}{_SET_ASIDE} ({why})")
        with contextlib.suppress(OSError):
            path.replace(path.with_name(path.name + _SET_ASIDE))
            names = (name for name in os.listdir(self.folder) if name.endswith(_SET_ASIDE))
            old = sorted(name for name in names if _NAME.fullmatch(name.removesuffix(_SET_ASIDE)))
            for name in old[:-_SET_ASIDE_KEPT]:
                (self.folder / name).unlink()


def _encode(report: Waiting) -> bytes:
    return json.dumps(
        {
            "version": 1,
            "report_id": report.report_id,
            "severity": report.severity,
            "recipients": report.recipients,
            "reached": report.reached,
            "content": report.content,
        }
    ).encode()


def _parse(path: Path) -> Waiting:
    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{type(error).__name__}: {error}") from error
    match data:
        case {
            "version": 1,
            "report_id": str(report_id),
            "severity": str(severity),
            "recipients": list() | None as recipients,
            "reached": bool(reached),
            "content": dict(content),
        } if severity in _SEVERITIES and all(isinstance(uid, str) for uid in recipients or ()):
            order = int(path.name.split("-")[2])
            return Waiting(order, report_id, severity, recipients, reached, content, path)
    raise Damaged("not a report")
