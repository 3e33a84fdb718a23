"""Runs ``network-health history``: what happened, as text or as JSON."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Sequence

from network_health.cli.history_file import add_history_file, open_history
from network_health.cli.parser import Parser, examples
from network_health.cli.text import use_colour
from network_health.cli.time_range import add_range, read_range
from network_health.cli.watch.theme import Theme
from network_health.page import Style, as_plain, as_text, overview
from network_health.reporting import Painter
from network_health.swarm import SwarmError

_MAX_WIDTH = 160
_MAX_LISTED = 20
_EPILOG = (
    examples(
        "network-health history                                # the last day",
        "network-health history --since 7d --interface eth0    # one interface, and its alerts",
        "network-health history --since '2026-11-25 22:00' --until '2026-11-26 06:00' --alerts",
        "network-health history --json | jq '.alerts[] | select(.end == null)'",
        "network-health history copy.sqlite --since 30d        # a copy from another host",
    )
    + """

exit status:
  0  the history was read; the range may have no checks
  1  there is no history, it cannot be read, or the range is invalid
  2  the command line is invalid"""
)


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``history``."""
    parser = subparsers.add_parser(
        "history",
        help="show what happened: alerts, rates and connections of earlier checks",
        usage="network-health history [FILE] [--since TIME] [--until TIME] [--interface NAME]\n"
        "                              [--alerts] [--json]",
        description="Shows what an agent has kept of earlier checks: alerts with their culprits, the rates "
        "of each interface and the connections against their limits, and times without checks. An agent "
        'keeps a history with the setting "history": true. The file of a running agent can be read, too.',
        epilog=_EPILOG,
    )
    add_history_file(parser)
    add_range(parser)
    parser.add_argument("--interface", metavar="NAME", help="only this interface and its alerts")
    parser.add_argument("--alerts", action="store_true", help="only the alerts, each with all its culprits")
    parser.add_argument(
        "--json", action="store_true", help="print one JSON object; docs/history.md describes its fields"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    now = time.time()
    asked = read_range(options, now)
    width = min(shutil.get_terminal_size().columns, _MAX_WIDTH)
    # The font of the Linux console (TERM=linux) lacks most block characters.
    theme = Theme(sys.stdout.encoding or "ascii", has_blocks=os.environ.get("TERM") != "linux")
    style = Style(width, Painter(use_colour(sys.stdout)), theme.levels)
    with open_history(options.file) as history:
        found = overview(history, asked.since, asked.until, now, options.interface)
        if options.interface is not None and not found.interfaces and not found.alerts:
            raise SwarmError(
                f"the range has no interface {options.interface!r}: it has {_listed(found.names)}"
            )
        if options.json:
            text = json.dumps(as_plain(found, alerts_only=options.alerts), indent=2, allow_nan=False) + "\n"
        else:
            text = as_text(found, style, alerts_only=options.alerts)
    print(text, end="")
    return 0


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return (", ".join(names[:_MAX_LISTED]) or "none") + more
