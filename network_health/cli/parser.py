"""The parser that all subcommands share, and a look at it from outside.

A subcommand's module has ``add_to(subparsers)``; what that adds shows up in ``--help``, in the shells'
completion and in docs/cli.md. Law: nothing of it depends on the width of a terminal or on the version of
argparse, but for the wrapping of ``--help``.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

_WIDEST = 100


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def _format_args(self, action: argparse.Action, default_metavar: str) -> str:
        """A value may be missing for argparse, so that every mistake is told at once, but is no option."""
        if action.nargs == argparse.OPTIONAL and action.option_strings:
            return str(action.metavar)
        return super()._format_args(action, default_metavar)


class Parser(argparse.ArgumentParser):
    """Keeps the lines of an epilog as they are; tells mistakes without the usage in front.

    ``usage_status`` is the exit status of a command line that cannot be understood.
    """

    usage_status = 2

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - whatever argparse takes
        options.setdefault("formatter_class", _Formatter)
        options.setdefault("allow_abbrev", False)  # a setting that is new must not change what a script means
        super().__init__(*args, **options)

    def format_help(self) -> str:
        """The help, with the description wrapped as wide as the terminal is."""
        width = min(shutil.get_terminal_size().columns - 2, _WIDEST)
        plain = self.description
        self.description = textwrap.fill(plain, max(width, 20)) if plain else None
        try:
            return super().format_help()
        finally:
            self.description = plain

    def error(self, message: str) -> NoReturn:
        """Say what cannot be understood, in a sentence, and exit."""
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(self.usage_status)


def examples(*lines: str) -> str:
    """An epilog of example commands, each with what it does after a ``#``."""
    return "examples:\n" + "\n".join(f"  {line}" for line in lines)


def commands(parser: argparse.ArgumentParser) -> Mapping[str, argparse.ArgumentParser]:
    """The subcommands by name, in the order of ``--help``."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return dict(action.choices)
    return {}


def arguments(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.Action]]:
    """What one command takes but for ``--help``: (title of the group, argument)."""
    for group in parser._action_groups:
        for action in group._group_actions:
            if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction):
                yield group.title or "", action


def spelled(action: argparse.Action) -> str:
    """An argument as it is written: ``--config FILE``, ``WORKSPACE``."""
    metavar = str(action.metavar or "")
    if not action.option_strings:
        return metavar
    return ", ".join(action.option_strings) + (f" {metavar}" if metavar else "")
