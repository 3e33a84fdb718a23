"""Runs ``network-health watch``: this host live in a terminal, without a swarm.

Guarantees: the package rich is imported only to draw, so that all else works without the extra ``cli``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from network_health.cli.host_options import add_host_options, read_host_options
from network_health.cli.parser import Parser, examples
from network_health.cli.text import print_errors, use_colour
from network_health.settings import Settings

_SECONDS = 2.0
#: Settings that only the agent has: its schedule, its receivers, its export.
_AGENT_ONLY = (
    "check_interval_sec",
    "report_to_role",
    "report_handler",
    "report_on",
    "repeat_after_sec",
    "prometheus_textfile",
    "prometheus_listen",
    "history",
    "history_max_mb",
)
_DEFAULTS: Mapping[str, Any] = {"process_network": "always", "top_n_procs": 15}

_EPILOG = (
    examples(
        "network-health watch                                   # q quits",
        "network-health watch --seconds 10 --tx-threshold-mbps 250 --conn-threshold 2000",
        "network-health watch --config boot_directives/mine.py --universal-id net-health-1",
    )
    + """

keys:
  q        quit; Ctrl-C does the same
  c m n    order the processes by CPU, memory or bytes on the network
  i        interfaces by name, or the busiest first
  p        pause or resume the view; the checks continue
  Ctrl-L   redraw the screen

exit status:
  0  quit by a key or by Ctrl-C
  1  there is no terminal to draw on, or the extra `cli` is not installed
  2  the command line or the file of --config has an error"""
)


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``watch``."""
    parser = subparsers.add_parser(
        "watch",
        help="watch this host in a terminal, without a swarm",
        usage="network-health watch [--seconds N] [--config FILE [--universal-id ID]]\n"
        "                            [--SETTING VALUE ...]",
        description="Shows this host live in a terminal: its active alerts and their culprits, rates against "
        "their limits over the last minutes, connections by state, and the busiest processes. The agent's "
        "settings are flags, except its schedule, receivers and Prometheus export; a flag overrides the file "
        "of --config. By default the bytes of each process are counted in every check, and 15 processes are "
        "listed.",
        epilog=_EPILOG,
    )
    add_host_options(
        parser, "from the start of one check to the start of the next; default: 2", _AGENT_ONLY, _DEFAULTS
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    given = read_host_options(options)
    if given.errors:
        return _failed(2, *given.errors)
    if sys.stdout is None or not sys.stdout.isatty():
        return _failed(1, "stdout is not a terminal; `network-health check` prints one check")
    if os.environ.get("TERM") in (None, "", "dumb"):
        return _failed(1, "TERM names no terminal to draw on; `network-health check` prints one check")
    try:
        importlib.import_module("rich")
    except ImportError:
        needed = f"{sys.executable} -m pip install 'matrixswarm-network-health[cli]'"
        return _failed(1, f"this needs the package rich: {needed}; `network-health check` works without it")
    defaults = {name: value for name, value in _DEFAULTS.items() if name not in given.names_in_file}
    settings = replace(given.file_settings, **{**defaults, **given.flag_settings})
    try:
        number = _watch(settings, given.seconds or _SECONDS)
    except KeyboardInterrupt:  # before the view handles signals
        return 0
    if number:  # the terminal is restored: end by that signal, as its sender expects
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    return 0


def _watch(settings: Settings, seconds: float) -> int:
    from network_health.cli.watch.loop import watch
    from network_health.cli.watch.screen import Screen
    from network_health.cli.watch.terminal import Terminal
    from network_health.cli.watch.theme import Theme

    has_keys = sys.stdin is not None and sys.stdin.isatty()
    encoding = sys.stdout.encoding
    # The font of the Linux console (TERM=linux) lacks most block characters.
    theme = Theme(encoding, has_blocks=os.environ.get("TERM") != "linux")
    terminal = Terminal(
        sys.stdout.fileno(), sys.stdin.fileno() if has_keys else None, encoding, colour=use_colour(sys.stdout)
    )
    return watch(settings, seconds, terminal, Screen(platform.node(), settings, theme, has_keys=has_keys))


def _failed(status: int, *errors: str) -> int:
    print_errors("network-health watch", errors)
    return status
