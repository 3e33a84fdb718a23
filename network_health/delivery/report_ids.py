"""Creates the ids of reports: agent, boot, number, as in ``net-health-1-5d2c0f3b9a41c6d8-000017``.

Guarantees: no id is given twice. A restarted agent continues the numbers without a gap. After a boot of the
host, and if the file cannot be read or written, numbers start at 1 and the boot part is new: the end of the
boot id and eight random digits. Anything else with the file's name is removed, with a log line.
"""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable
from pathlib import Path

from network_health.delivery.own_file import NotOwnFile, overwrite_own, read_own

_LINE_BYTES = 8 + 1 + 8 + 1 + 12 + 1
#: No agent makes so many reports: such a number was put there by another program.
_HIGHEST_NUMBER = 10**11
_LINE = re.compile(rb"([0-9A-Za-z]{1,8})-([0-9a-f]{8}) ([0-9]{12})\n")


class ReportIds:
    """Gives ids; never raises.

    Args:
        path: the file that keeps the last number.
        agent: the agent's universal_id.
        boot_id: the same until the host boots again.
        log: takes one line for each change that an operator should know of.
    """

    def __init__(self, path: Path, agent: str, boot_id: str, log: Callable[[str], None]) -> None:
        self._path = path
        self._log = log
        self._agent = agent
        self._boot = "".join(re.findall("[0-9A-Za-z]", boot_id))[-8:] or "0"
        self._series, self._number = self._read() or (secrets.token_hex(4), 0)
        self.error: OSError | None = None

    def next(self) -> str:
        """A new id."""
        self._number += 1
        self.save()
        return f"{self._agent}-{self._boot}{self._series}-{self._number:06d}"

    def save(self) -> None:
        """Write the last number to the file; sets ``error``, to ``None`` on success."""
        line = f"{self._boot}-{self._series} {self._number:012d}\n".encode()
        try:
            self._write(line)
        except OSError as error:
            if self.error is None:
                # The file has an older number: an agent that continues from it must not repeat our ids.
                self._series, self._number = secrets.token_hex(4), 1
            self.error = error
        else:
            self.error = None

    def _write(self, line: bytes) -> None:
        # All lines have one length: overwriting in place needs no space on a full disk.
        try:
            overwrite_own(self._path, line)
        except NotOwnFile as error:
            self._remove(error)
            overwrite_own(self._path, line)

    def _read(self) -> tuple[str, int] | None:
        try:
            line = _LINE.fullmatch(read_own(self._path, _LINE_BYTES))
        except NotOwnFile as error:
            self._remove(error)
            return None
        except OSError:
            return None
        if line is None or line[1].decode() != self._boot or int(line[3]) > _HIGHEST_NUMBER:
            return None
        return line[2].decode(), int(line[3])

    def _remove(self, error: NotOwnFile) -> None:
        self._log(f"{self._path} does not have the agent's last number and is removed: {error}")
        with contextlib.suppress(OSError):
            self._path.unlink()
