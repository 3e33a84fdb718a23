"""Runs ``network-health page``: writes a history as one HTML file."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from network_health.cli.history_file import add_history_file, open_history
from network_health.cli.parser import Parser, examples
from network_health.cli.time_range import add_range, read_range
from network_health.delivery import write_atomically
from network_health.page import MissingLibrary, page_html
from network_health.swarm import SwarmError


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``page``."""
    parser = subparsers.add_parser(
        "page",
        help="write the history as an HTML page with plots",
        usage="network-health page [options] [FILE]",
        description="Writes the alerts and plots of the history as one HTML file. The file loads nothing "
        "and can be sent to others. It needs the extra page.",
        epilog=examples(
            "network-health page                            # writes network-health.html",
            "network-health page --since 7d --output week.html",
        ),
    )
    add_history_file(parser)
    add_range(parser, None)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="HTML",
        default=Path("network-health.html"),
        help="the file to write, readable by its owner alone; - for stdout; default: network-health.html",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    wanted = read_range(options, time.time())
    try:
        with open_history(options.file) as history:
            html = page_html(history, wanted.since, wanted.until).encode()
    except MissingLibrary as error:
        raise SwarmError(str(error)) from error
    if str(options.output) == "-":
        sys.stdout.buffer.write(html)
        return 0
    write_atomically(options.output, html)
    print(f"{options.output}: {len(html) / 1e6:.1f} MB; open it in a browser")
    return 0
