"""``network-health watch``: this host in a terminal, live, without a swarm.

Law: what it draws with is imported when it draws, so that all else works without the extra ``cli``.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from network_health.cli.host_options import add_host_options, read_host_options
from network_health.cli.parser import Parser, examples
from network_health.cli.text import plain, use_colour
from network_health.settings import Settings

_NOT_UNDERSTOOD = 2
_SECONDS = 2.0
#: What is the agent's alone: when to check, whom to tell, when to tell it again.
_NOT_OF_A_VIEW = (
    "check_interval_sec",
    "report_to_role",
    "report_handler",
    "report_on",
    "repeat_after_sec",
    "prometheus_textfile",
    "prometheus_listen",
)
#: Who moves the bytes is wanted at all times, and as many processes as the screen has room for.
_OF_A_VIEW: Mapping[str, Any] = {"process_network": "always", "top_n_procs": 15}

_EPILOG = (
    examples(
        "network-health watch                                   # q quits",
        "network-health watch --seconds 10 --tx-threshold-mbps 250 --conn-threshold 2000",
        "network-health watch --config boot_directives/mine.py --universal-id net-health-1",
    )
    + """

keys:
  q        quit, as Ctrl-C does
  c m n    order the processes by CPU, memory or bytes on the network
  i        interfaces by name, or the busiest first
  p        pause: the view stands still, the checks go on
  Ctrl-L   draw all anew

exit status:
  0  quit by a key or by Ctrl-C
  1  there is no terminal to draw on, or the extra `cli` is not installed
  2  the command line or the file was not understood"""
)


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Make ``watch`` known."""
    parser = subparsers.add_parser(
        "watch",
        help="watch this host in a terminal, without a swarm",
        usage="network-health watch [--seconds N] [--config FILE [--universal-id ID]]\n"
        "                            [--SETTING VALUE ...]",
        description="Shows this host in a terminal, live: what stands against it and who is behind that, "
        "rates against their limits over the last minutes, connections by state, the busiest processes. "
        "The agent's settings are flags, but for those that say when to report to whom; a flag comes before "
        "what --config says. The bytes of each process are counted in every check, and 15 processes are "
        "listed, unless a setting says otherwise.",
        epilog=_EPILOG,
    )
    add_host_options(
        parser, "from the start of one check to the start of the next; default: 2", _NOT_OF_A_VIEW, _OF_A_VIEW
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    asked = read_host_options(options)
    if asked.mistakes:
        return _refuse(asked.mistakes, _NOT_UNDERSTOOD)
    if sys.stdout is None or not sys.stdout.isatty():
        return _refuse(["stdout is not a terminal; `network-health check` prints one check"], 1)
    if os.environ.get("TERM") in (None, "", "dumb"):
        return _refuse(["TERM names no terminal to draw on; `network-health check` prints one check"], 1)
    try:
        importlib.import_module("rich")  # only to know that it is there
    except ImportError:
        needed = f"{sys.executable} -m pip install 'matrixswarm-network-health[cli]'"
        return _refuse([f"this needs the package rich: {needed}; `network-health check` needs nothing"], 1)
    ours = {name: value for name, value in _OF_A_VIEW.items() if name not in asked.in_file}
    settings = replace(asked.of_file, **{**ours, **asked.given})
    try:
        number = _watch(settings, asked.seconds or _SECONDS)
    except KeyboardInterrupt:  # before the first screen stood
        return 0
    if number:  # die as the signal would have it, now that the terminal is as it was
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
    # The console's own font, on the screen of the machine itself, lacks most of the blocks.
    look = Theme(encoding, has_blocks=os.environ.get("TERM") != "linux")
    terminal = Terminal(
        sys.stdout.fileno(), sys.stdin.fileno() if has_keys else None, encoding, colour=use_colour(sys.stdout)
    )
    return watch(settings, seconds, terminal, Screen(platform.node(), settings, look, has_keys=has_keys))


def _refuse(mistakes: Sequence[str], status: int) -> int:
    for mistake in mistakes:
        print(f"network-health watch: {plain(mistake)}", file=sys.stderr)
    return status
