"""The command ``network-health``.

Laws: what went wrong is one sentence on stderr and a status other than 0; no traceback for what an
operator can cause.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence

from network_health.cli import check, completion, demo, doctor, install, watch
from network_health.cli.parser import Parser, examples
from network_health.swarm.errors import SwarmError

__all__ = ["build_parser", "main"]


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
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (check, watch, doctor, install, demo, completion):
        command.add_to(subparsers)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status (``arguments`` default to those of the process)."""
    parser = build_parser()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a sign is no failure
    options, unknown = parser.parse_known_args(arguments)
    if "unknown" in options:
        options.unknown = unknown  # the command tells them together with other mistakes
    elif unknown:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    trouble = getattr(options, "trouble_status", 1)
    try:
        status: int = options.run(options)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SwarmError as error:
        print(f"network-health: {error}", file=sys.stderr)
        return trouble
    except KeyboardInterrupt:
        print("network-health: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever was reading has seen enough; nothing more may be written at exit
        _write_no_more()
        return 141
    except OSError as error:
        print(f"network-health: {error}", file=sys.stderr)
        _write_no_more()
        return trouble
    return status


def _write_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
