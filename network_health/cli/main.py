"""Parses the command line of ``network-health`` and runs the subcommand.

Guarantees: an error is one sentence on stderr and an exit status other than 0; no traceback is shown.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from network_health import __version__
from network_health.cli import check, completion, demo, doctor, fleet, history, install, page, suggest
from network_health.cli.flags import unknown_arguments
from network_health.cli.parser import Parser, commands, examples
from network_health.cli.text import print_errors
from network_health.cli.watch import command as watch
from network_health.swarm import SwarmError


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    parser = Parser(
        prog="network-health",
        description="Watches a host's network, as an agent of a MatrixSwarm or alone.",
        epilog=examples(
            "network-health check            # check this host once",
            "network-health doctor           # find the problems of a workspace and this host",
            "network-health install          # install the agent into your workspace",
            "network-health COMMAND --help   # show the options of one command",
        ),
    )
    parser.add_argument("--version", action="version", version=f"network-health {__version__}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (check, watch, history, page, suggest, doctor, install, fleet, demo, completion):
        command.add_to(subparsers)
    for subparser in commands(parser).values():
        subparser.set_defaults(parser=subparser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status (``arguments`` default to those of the process)."""
    parser = build_parser()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # no error where the encoding lacks a character
    options, unknown = parser.parse_known_args(arguments)
    if "unknown" in options:
        options.unknown = unknown  # the command reports them together with its other errors
    elif unknown:
        options.parser.error("; ".join(unknown_arguments(unknown, options.parser)))
    failure_status = getattr(options, "failure_status", 1)
    try:
        status: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SwarmError as error:
        return _failed(str(error), failure_status)
    except KeyboardInterrupt:
        return _failed("stopped", 130)
    except BrokenPipeError:
        _discard_stdout()
        return 141
    except OSError as error:
        _discard_stdout()
        named = "" if error.filename is None else f": {error.filename!r}"
        return _failed(f"{error.strerror or error}{named}", failure_status)
    except Exception as error:  # noqa: BLE001 - Python's own status 1 would be read as a finding
        frame = traceback.extract_tb(error.__traceback__)[-1]
        cause = f"{type(error).__name__}: {error} ({Path(frame.filename).name}, line {frame.lineno})"
        return _failed(f"internal error, please report it: {cause}", failure_status)
    return status


def _failed(sentence: str, status: int) -> int:
    with contextlib.suppress(OSError):  # a full disk behind stderr must not change the status
        print_errors("network-health", [sentence])
    return status


def _discard_stdout() -> None:
    """Drop what is buffered: Python writes it again at exit, which would fail again."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
