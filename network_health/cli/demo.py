"""Runs ``network-health demo``: a real swarm reports a real breach."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from types import FrameType
from typing import Any

from network_health.cli.parser import Parser, examples
from network_health.swarm import run_demo


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``demo``."""
    parser = subparsers.add_parser(
        "demo",
        help="boot a real swarm, show its reports, cause a breach, remove everything",
        usage="network-health demo",
        description="Boots a real swarm, shows its reports as they reach forensic_detective, opens thousands "
        "of loopback connections until the agent warns, closes them, and removes everything again. Needs to "
        "write /matrix, where every swarm keeps its state. Takes half a minute.",
        epilog=examples("sudo network-health demo")
        + "\n\nexit status:\n  0  the demo is complete\n  1  a step failed; the message says which",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # ignored below nohup
            signal.signal(number, _exit)
    with contextlib.ExitStack() as stack:
        run_demo(sys.stdout or stack.enter_context(open(os.devnull, "w", encoding="utf-8")))
    return 0


def _exit(number: int, frame: FrameType | None) -> Any:  # noqa: ANN401 - never returns
    """Leave by an exception, so that the demo removes its swarm."""
    sys.exit(128 + number)
