"""Runs ``network-health page``: writes a history as one HTML file, or serves it."""

from __future__ import annotations

import argparse
import contextlib
import sys
import time
from pathlib import Path

from network_health.cli.flags import invalid_value
from network_health.cli.history_file import add_history_file, open_history
from network_health.cli.parser import Parser, examples
from network_health.cli.time_range import add_range, read_range
from network_health.delivery import write_atomically
from network_health.history import HistoryError
from network_health.page import MissingLibrary, PageServer, page_html
from network_health.settings import NotAllowed, endpoint
from network_health.swarm import SwarmError


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``page``."""
    parser = subparsers.add_parser(
        "page",
        help="write or serve the history as an HTML page with plots",
        usage="network-health page [options] [FILE]",
        description="Writes the alerts and plots of the history as one HTML file. The file loads nothing "
        "and can be sent to others. With --serve a browser gets the page from this command, always up to "
        "date. It needs the extra page.",
        epilog=examples(
            "network-health page                            # writes network-health.html",
            "network-health page --since 7d --output week.html",
            "network-health page --serve 127.0.0.1:8080     # until Ctrl-C",
        ),
    )
    add_history_file(parser)
    add_range(parser, None)
    target = parser.add_mutually_exclusive_group()
    target.add_argument(
        "--output",
        type=Path,
        metavar="HTML",
        default=Path("network-health.html"),
        help="the file to write, readable by its owner alone; - for stdout; default: network-health.html",
    )
    target.add_argument(
        "--serve",
        metavar="HOST:PORT",
        help="serve the page at an IP address of this host; :PORT is that of 127.0.0.1. Whoever can connect "
        "can read the page: to read it from elsewhere, forward the port with ssh -L",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    if options.serve is not None:
        return _serve(options)
    html = _page(options)
    if str(options.output) == "-":
        sys.stdout.buffer.write(html)
        return 0
    write_atomically(options.output, html)
    print(f"{options.output}: {len(html) / 1e6:.1f} MB; open it in a browser")
    return 0


def _page(options: argparse.Namespace) -> bytes:
    wanted = read_range(options, time.time())
    try:
        with open_history(options.file) as history:
            return page_html(history, wanted.since, wanted.until).encode()
    except MissingLibrary as error:
        raise SwarmError(str(error)) from error


def _serve(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    rule = endpoint()
    try:
        address = rule.read(options.serve)
    except NotAllowed:
        raise SwarmError(invalid_value("--serve", [options.serve], rule.allowed)) from None

    def make() -> bytes:
        try:
            return _page(options)
        except SwarmError as error:
            raise HistoryError(str(error)) from error

    try:
        server = PageServer(address, make)
    except HistoryError as error:
        raise SwarmError(str(error)) from error
    except OSError as error:
        raise SwarmError(f"cannot listen on {address}: {error.strerror}") from error
    with contextlib.suppress(KeyboardInterrupt):
        print(f"serving the page at {server.url} until Ctrl-C", flush=True)
        server.run()
    return 0
