"""Controls the terminal of the live view: its alternate screen, keys and size.

See termios(3) and console_codes(4).

Guarantees: `leave` restores what `enter` found, and may be called at any time. Only lines that changed are
written. A terminal that could be opened a second time never blocks a call, except `leave` for a second.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import termios
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

#: Save the cursor and switch to the alternate screen; hide the cursor; do not wrap long lines.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_CLEAR = "\x1b[0m\x1b[2J"
_LEAVE_TIMEOUT_S = 1.0
#: Wider than any line: rich must not wrap or crop.
_CONSOLE_WIDTH = 10_000


class Terminal:
    """Draws on ``out`` and reads keys from ``keys``, if given; both are file descriptors of terminals."""

    def __init__(self, out: int, keys: int | None, encoding: str, *, colour: bool) -> None:
        self.out = _reopened(out)
        self.keys = keys
        self._encoding = encoding
        self._modes: list[Any] | None = None
        self._is_entered = False
        self._drawn: list[str] = []
        self._size = (0, 0)
        self._unwritten = b""
        self._buffer = io.StringIO()
        self._console = Console(
            file=self._buffer,
            width=_CONSOLE_WIDTH,
            force_terminal=True,
            color_system="standard",
            no_color=not colour,
            legacy_windows=False,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines; 80 and 24 where the terminal does not know them, as on a serial line."""
        columns, lines = os.get_terminal_size(self.out)
        return columns or 80, lines or 24

    @property
    def is_stalled(self) -> bool:
        """Whether some output is not written yet."""
        return bool(self._unwritten)

    def enter(self) -> None:
        """Take the terminal over, also again after another program has changed it.

        Raises:
            InterruptedError: a signal came while this process was in the background.
            OSError: the terminal is gone.
        """
        if self.keys is not None:
            try:
                found = termios.tcgetattr(self.keys) if self._modes is None else self._modes
                termios.tcsetattr(self.keys, termios.TCSANOW, _unbuffered(found))
            except termios.error as error:
                raise OSError(*error.args) from error
            self._modes = found
        self.invalidate()
        self._is_entered = True
        self._write(_ENTER)

    def leave(self) -> None:
        """Restore the terminal, if it was entered and is not gone."""
        if not self._is_entered:
            return
        with contextlib.suppress(OSError):
            self._write(_LEAVE)
            until_s = time.monotonic() + _LEAVE_TIMEOUT_S
            while self._unwritten and (left_s := until_s - time.monotonic()) > 0:
                select.select([], [self.out], [], left_s)
                self.flush()
        self._unwritten = b""
        if self.keys is not None and self._modes is not None and not _is_in_background(self.keys):
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.keys, termios.TCSANOW, self._modes)
        self._modes = None
        self._is_entered = False

    def invalidate(self) -> None:
        """Let the next `draw` write all lines."""
        self._size = (0, 0)

    def draw(self, lines: Sequence[Text], size: tuple[int, int]) -> None:
        """Show these lines on a screen of that size; does nothing while the terminal accepts no output.

        Raises:
            OSError: the terminal is gone.
        """
        self.flush()
        if self._unwritten:
            return
        rendered = [self._rendered(line) for line in lines]
        is_new = size != self._size
        written = _CLEAR if is_new else ""
        for row, text in enumerate(rendered):
            if is_new or text != self._drawn[row]:
                # After a full line the cursor is still on its last character, which would be erased.
                rest = "" if lines[row].cell_len >= size[0] else "\x1b[K"
                written += f"\x1b[{row + 1};1H{text}{rest}"
        self._drawn, self._size = rendered, size
        self._write(written)

    def flush(self) -> None:
        """Write what is not written yet, as far as the terminal accepts it.

        Raises:
            OSError: the terminal is gone.
        """
        while self._unwritten:
            try:
                self._unwritten = self._unwritten[os.write(self.out, self._unwritten) :]
            except BlockingIOError:
                return

    def typed(self) -> str:
        """What was typed; an empty text, or an error, if the terminal is gone.

        Raises:
            OSError: the terminal is gone.
        """
        return os.read(self.keys, 1024).decode("latin-1") if self.keys is not None else ""

    def _write(self, text: str) -> None:
        self._unwritten += text.encode(self._encoding, "replace")
        self.flush()

    def _rendered(self, line: Text) -> str:
        self._buffer.seek(0)
        self._buffer.truncate()
        self._console.print(line, end="", soft_wrap=True)
        return self._buffer.getvalue()


def _unbuffered(modes: list[Any]) -> list[Any]:
    """The modes in which each key is read at once and not echoed; Ctrl-C and Ctrl-Z stay signals."""
    characters = list(modes[6])
    characters[termios.VMIN], characters[termios.VTIME] = 1, 0
    return [*modes[:3], modes[3] & ~(termios.ECHO | termios.ICANON), *modes[4:6], characters]


def _is_in_background(keys: int) -> bool:
    """Whether another process group controls the terminal: then a shell has set its own modes."""
    try:
        return os.tcgetpgrp(keys) != os.getpgrp()
    except OSError:  # not the controlling terminal
        return False


def _reopened(out: int) -> int:
    """The same terminal, non-blocking: that flag must not be set on the descriptor shared with the shell."""
    try:
        return os.open(os.ttyname(out), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:  # another user's terminal (su), or one without a name (some containers)
        return os.dup(out)
