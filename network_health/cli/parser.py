"""Defines the argument parser of all subcommands, and lists its commands and arguments.

A subcommand's module has ``add_to(subparsers)``. What it adds appears in ``--help``, in the completion of the
shells and in docs/cli.md.

Guarantees: the texts are the same for every version of Python; only ``--help`` depends on the width of
the terminal.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

_MAX_WIDTH = 100


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        """Show a required value as required: ``nargs="?"`` only lets this project report it as missing."""
        if action.nargs == argparse.OPTIONAL and action.option_strings:
            return str(action.metavar)
        return super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """Keeps the line breaks of an epilog, and reports an error without the usage in front of it.

    ``usage_status`` is the exit status of an invalid command line.
    """

    usage_status = 2

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - the arguments of argparse
        options.setdefault("formatter_class", _Formatter)
        options.setdefault("allow_abbrev", False)  # a new setting must not change what a script means
        super().__init__(*args, **options)

    def format_help(self) -> str:
        """The help, with the description wrapped to the width of the terminal."""
        width = min(shutil.get_terminal_size().columns - 2, _MAX_WIDTH)
        unwrapped = self.description
        self.description = textwrap.fill(unwrapped, max(width, 20)) if unwrapped else None
        try:
            return super().format_help()
        finally:
            self.description = unwrapped

    def error(self, message: str) -> NoReturn:
        """Print what is invalid, in a sentence, and exit."""
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(self.usage_status)


def examples(*lines: str) -> str:
    """An epilog of example commands, each with a comment after a ``#``."""
    return "examples:\n" + "\n".join(f"  {line}" for line in lines)


def add_workspace(parser: Parser) -> None:
    """Add the optional argument ``WORKSPACE``."""
    parser.add_argument(
        "workspace",
        nargs="?",
        type=Path,
        metavar="WORKSPACE",
        help="default: the one named by .swarm in this folder or above it, else by ~/.matrixswarm_pointer, "
        "else /matrix, if MatrixOS is there",
    )


def commands(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The subcommands by name, in the order of ``--help``."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """The arguments of one command without ``--help``: (title of the group, argument)."""
    for group in parser._action_groups:
        for action in group._group_actions:
            if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
                yield group.title or "", action


def syntax(action: argparse.Action) -> str:
    """An argument as it is written on a command line: ``--config FILE``, ``WORKSPACE``."""
    metavar = str(action.metavar or "")
    if not action.option_strings:
        return metavar
    return ", ".join(action.option_strings) + (f" {metavar}" if metavar else "")
