"""The ids of reports: agent, boot, number, as in ``net-health-1-5d2c0f3b9a41-000017``.

Laws: no id is given twice. Numbers go on after a respawn without a gap, from a file of one line that
is overwritten in place, so that a full disk does not stop them. Where the file cannot be read or
written, and after the host booted, they start at 1 under a boot part never used before: the end of
the boot id and four random digits.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

_LINE = re.compile(rb"([0-9A-Za-z]{1,8})-([0-9a-f]{4}) ([0-9]{12})\n")


class ReportIds:
    """Gives ids; never raises.

    Args:
        path: where the last number is kept.
        agent: the agent's universal_id.
        boot_id: the same until the host boots again.
    """

    def __init__(self, path: Path, agent: str, boot_id: str) -> None:
        self._path = path
        self._agent = agent
        self._boot = "".join(re.findall("[0-9A-Za-z]", boot_id))[-8:] or "0"
        self._run, self._number = self._recall() or (secrets.token_hex(2), 0)
        self.error: OSError | None = None

    def next(self) -> str:
        """An id that was never given before."""
        self._number += 1
        self.record()
        return f"{self._agent}-{self._boot}{self._run}-{self._number:06d}"

    def record(self) -> None:
        """Write the last number down; ``error`` tells what came of it."""
        line = f"{self._boot}-{self._run} {self._number:012d}\n".encode()
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o600)
            try:
                os.write(handle, line)
            finally:
                os.close(handle)
        except OSError as error:
            if self.error is None:
                # The file still has the number before: an agent that starts from it must not meet ours.
                self._run, self._number = secrets.token_hex(2), 1
            self.error = error
        else:
            self.error = None

    def _recall(self) -> tuple[str, int] | None:
        try:
            line = _LINE.fullmatch(self._path.read_bytes())
        except OSError:
            return None
        if line is None or line[1].decode() != self._boot:
            return None
        return line[2].decode(), int(line[3])
