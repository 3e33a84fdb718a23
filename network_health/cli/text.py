"""Writes to the user's terminal: errors as sentences, colours where they are wanted.

What it writes is formatted by `network_health.reporting`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from network_health.reporting import printable


def use_colour(out: TextIO | None) -> bool:
    """Whether ``out`` shows colours and the user wants them; see no-color.org."""
    wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return wanted and out is not None and out.isatty()


def print_errors(prog: str, sentences: Iterable[str]) -> None:
    """Write each sentence to stderr, after the name of the program.

    Raises:
        OSError: stderr cannot be written.
    """
    for sentence in sentences:
        print(f"{prog}: {printable(sentence)}", file=sys.stderr)
