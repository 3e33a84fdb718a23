"""Defines the argument ``FILE``: which history a command reads.

Guarantees: whatever the file is, the result is an open history or one `SwarmError`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from network_health.cli.parser import Parser
from network_health.history import History, HistoryError
from network_health.swarm import MATRIX, SwarmError, history_files

#: What values of other types, or without a bound, raise wherever they are used.
_CAUSED_BY_VALUES = (ArithmeticError, LookupError, TypeError, ValueError, RecursionError)
_TURN_ON = 'add "history": true to the config of its node in the directive'


def add_history_file(parser: Parser) -> None:
    """Add the optional argument ``FILE``."""
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help=f"the history; default: that of this host's agent, if one agent keeps its own in {MATRIX}",
    )


def history_path(file: Path | None, root: Path = MATRIX) -> Path:
    """The path of the history: ``file``, or the only one that an agent of this host keeps.

    Raises:
        SwarmError: no file was named, and no agent or more than one keeps a history in ``root``.
    """
    if file is not None:
        return file
    known = history_files(root)
    if len(known) == 1:
        return known[0].path
    if known:
        named = ", ".join(f"{kept.path} ({kept.universe})" for kept in known)
        raise SwarmError(f"several agents of this host keep a history: name one of {named}")
    raise SwarmError(
        f"no agent of this host keeps a history that this user can see in {root}: {_TURN_ON}, run this as "
        "the swarm's user, or name a file"
    )


@contextlib.contextmanager
def open_history(file: Path | None) -> Iterator[History]:
    """The history, open in a ``with`` block.

    Raises:
        SwarmError: there is none, or it cannot be read; also if that is found in the block.
    """
    try:
        with History.open(history_path(file)) as history:
            try:
                yield history
            except _CAUSED_BY_VALUES as error:
                damage = history.find_damage()
                if damage is None:  # the program is at fault
                    raise
                raise HistoryError(f"{history.path} cannot be read as a history: {damage}") from error
    except HistoryError as error:
        raise SwarmError(str(error)) from error
