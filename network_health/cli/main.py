"""The command ``network-health``.

Laws: what went wrong is one sentence on stderr and a status other than 0; no traceback reaches an operator.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from network_health.cli import check, completion, demo, doctor, install
from network_health.cli.flags import unknown_words
from network_health.cli.parser import Parser, commands, examples
from network_health.cli.text import plain
from network_health.cli.watch import command as watch
from network_health.swarm import DISTRIBUTION, SwarmError


def build_parser() -> argparse.ArgumentParser:
    """The parser of the whole command."""
    parser = Parser(
        prog="network-health",
        description="Watches a host's network, as an agent of a MatrixSwarm or alone.",
        epilog=examples(
            "network-health check            # this host, now",
            "network-health doctor           # what would not work in your swarm",
            "network-health install          # the agent into your workspace",
            "network-health COMMAND --help   # all about one command",
        ),
    )
    parser.add_argument("--version", action="version", version=f"network-health {_version()}")
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (check, watch, doctor, install, demo, completion):
        command.add_to(subparsers)
    for each in commands(parser).values():
        each.set_defaults(parser=each)
    return parser


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "that was not installed"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status (``arguments`` default to those of the process)."""
    parser = build_parser()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a sign is no failure
    options, unknown = parser.parse_known_args(arguments)
    if "unknown" in options:
        options.unknown = unknown  # the command tells them together with other mistakes
    elif unknown:
        options.parser.error("; ".join(unknown_words(unknown, options.parser)))
    trouble = getattr(options, "trouble_status", 1)
    try:
        status: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SwarmError as error:
        return _failed(str(error), trouble)
    except KeyboardInterrupt:
        return _failed("stopped", 130)
    except BrokenPipeError:  # whoever was reading has seen enough; nothing more may be written at exit
        _write_no_more()
        return 141
    except OSError as error:
        _write_no_more()
        named = "" if error.filename is None else f": {error.filename!r}"
        return _failed(f"{error.strerror or error}{named}", trouble)
    except Exception as error:  # noqa: BLE001 - what nobody foresaw must not look like a finding (status 1)
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}, line {frame.lineno}"
        return _failed(
            f"internal error, please report it: {type(error).__name__}: {error} ({where})", trouble
        )
    return status


def _failed(sentence: str, status: int) -> int:
    with contextlib.suppress(OSError):  # a full disk behind stderr must not change the status
        print(f"network-health: {plain(sentence)}", file=sys.stderr)
    return status


def _write_no_more() -> None:
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
