"""The terminal of a live view: its other screen, its keys, its size; see termios(3) and console_codes(4).

Laws: `leave` puts back what `enter` found, and may be called at any time. A line that stands there already
is not written again. A terminal that takes nothing for a while holds up nobody.
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

#: Keep the cursor and show the other screen; hide the cursor; what is too long does not go on below.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[0m\x1b[?7h\x1b[?25h\x1b[?1049l"
_CLEAR = "\x1b[0m\x1b[2J"
_LAST_WORDS_S = 1.0
#: Wider than any line: the lines come as wide as they are to be.
_WIDEST = 10_000


class Terminal:
    """Draws on the terminal ``out``, reads from the terminal ``keys`` if there is one: file descriptors."""

    def __init__(self, out: int, keys: int | None, encoding: str, *, colour: bool) -> None:
        self.out = _reopened(out)
        self.keys = keys
        self._encoding = encoding
        self._modes: list[Any] | None = None
        self._is_entered = False
        self._drawn: list[str] = []
        self._size = (0, 0)
        self._unwritten = b""
        self._paper = io.StringIO()
        self._console = Console(
            file=self._paper,
            width=_WIDEST,
            force_terminal=True,
            color_system="standard",
            no_color=not colour,
            legacy_windows=False,
        )

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines; the usual ones where the terminal does not know them, as on a serial line."""
        columns, lines = os.get_terminal_size(self.out)
        return columns or 80, lines or 24

    @property
    def is_stalled(self) -> bool:
        """Whether it has not taken all that was written to it."""
        return bool(self._unwritten)

    def enter(self) -> None:
        """Take the terminal over, or again after somebody else has changed it; nothing stands on it then.

        Raises:
            InterruptedError: a signal came while this process had to wait for the shell to let it.
            OSError: the terminal is gone.
        """
        if self.keys is not None:
            try:
                found = termios.tcgetattr(self.keys) if self._modes is None else self._modes
                termios.tcsetattr(self.keys, termios.TCSANOW, _key_by_key(found))
            except termios.error as error:
                raise OSError(*error.args) from error
            self._modes = found
        self.forget()
        self._is_entered = True
        self._write(_ENTER)

    def leave(self) -> None:
        """Give the terminal back as it was, if it was entered; one that is gone needs nothing."""
        if not self._is_entered:
            return
        with contextlib.suppress(OSError):
            self._write(_LEAVE)
            until_s = time.monotonic() + _LAST_WORDS_S
            while self._unwritten and (left_s := until_s - time.monotonic()) > 0:
                select.select([], [self.out], [], left_s)
                self.flush()
        self._unwritten = b""
        if self.keys is not None and self._modes is not None and not _is_the_shells(self.keys):
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self.keys, termios.TCSANOW, self._modes)
        self._modes = None
        self._is_entered = False

    def forget(self) -> None:
        """Take nothing to stand on the screen that `draw` has drawn."""
        self._size = (0, 0)

    def draw(self, lines: Sequence[Text], size: tuple[int, int]) -> None:
        """Show these lines on a screen of that size. Waits for nobody: if it cannot be now, it is not done.

        Raises:
            OSError: the terminal is gone.
        """
        self.flush()
        if self._unwritten:
            return
        painted = [self._painted(line) for line in lines]
        is_new = size != self._size
        written = _CLEAR if is_new else ""
        for row, text in enumerate(painted):
            if is_new or text != self._drawn[row]:
                # In the last column the cursor stands on the last sign, which would be erased.
                rest = "" if lines[row].cell_len >= size[0] else "\x1b[K"
                written += f"\x1b[{row + 1};1H{text}{rest}"
        self._drawn, self._size = painted, size
        self._write(written)

    def flush(self) -> None:
        """Write what was left over, as far as the terminal takes it.

        Raises:
            OSError: the terminal is gone.
        """
        while self._unwritten:
            try:
                self._unwritten = self._unwritten[os.write(self.out, self._unwritten) :]
            except BlockingIOError:
                return

    def typed(self) -> str:
        """What was typed; nothing if the terminal is gone.

        Raises:
            OSError: likewise.
        """
        return os.read(self.keys, 1024).decode("latin-1") if self.keys is not None else ""

    def _write(self, text: str) -> None:
        self._unwritten += text.encode(self._encoding, "replace")
        self.flush()

    def _painted(self, line: Text) -> str:
        self._paper.seek(0)
        self._paper.truncate()
        self._console.print(line, end="", soft_wrap=True)
        return self._paper.getvalue()


def _key_by_key(modes: list[Any]) -> list[Any]:
    """These modes, but each key is read at once, and not shown; Ctrl-C and Ctrl-Z stay signals."""
    signs = list(modes[6])
    signs[termios.VMIN], signs[termios.VTIME] = 1, 0
    return [*modes[:3], modes[3] & ~(termios.ECHO | termios.ICANON), *modes[4:6], signs]


def _is_the_shells(keys: int) -> bool:
    """Whether a shell has the terminal, and modes of its own on it: this process is in the background."""
    try:
        return os.tcgetpgrp(keys) != os.getpgrp()
    except OSError:  # a terminal that is nobody's to control
        return False


def _reopened(out: int) -> int:
    """The same terminal, without waiting: a flag that the shell's own descriptor must not get."""
    try:
        return os.open(os.ttyname(out), os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
    except OSError:  # another user's terminal, as below su; or one without a name, as in some containers
        return os.dup(out)
