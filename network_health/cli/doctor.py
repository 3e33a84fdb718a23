"""Runs ``network-health doctor``: checks a workspace and this host for problems before a swarm is booted."""

from __future__ import annotations

import argparse
import os
import sys

from network_health.cli.parser import Parser, add_workspace, examples
from network_health.cli.text import use_colour
from network_health.reporting import DIM, GREEN, RED, YELLOW, Painter, printable
from network_health.swarm.doctor import examine

_KEY = "SWARM_KEY"
_COLOURS = {"ok": GREEN, "note": YELLOW, "fault": RED}
_EPILOG = (
    examples(
        "network-health doctor                                   # the workspace that .swarm names",
        "network-health doctor ~/.matrixswarm --directive mine   # with boot_directives/mine.py",
        "SWARM_KEY=KEY network-health doctor --directive mine.json   # an encrypted one",
    )
    + """

states:
  ok      works
  note    degraded, or works under a condition
  fault   will not work

exit status:
  0  no fault
  1  at least one fault
  2  the command line is invalid"""
)


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``doctor``."""
    parser = subparsers.add_parser(
        "doctor",
        help="check a workspace and this host for problems, and say what to do",
        usage="network-health doctor [WORKSPACE] [--directive NAME] [--key KEY]",
        description="Checks the library, the workspace, a directive, this user's rights and the kernel: says "
        "what will not work and what to do about it. Changes nothing and runs no directive. Run it as the "
        "user that boots the swarm.",
        epilog=_EPILOG,
    )
    add_workspace(parser)
    parser.add_argument(
        "--directive",
        metavar="NAME",
        help="the directive to check: a name as matrixswarm-boot takes it, or a file",
    )
    parser.add_argument(
        "--key",
        metavar="KEY",
        help=f"the key of an encrypted directive; default: the environment variable {_KEY}, which, unlike an "
        "argument, other users cannot see",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    painter = Painter(use_colour(sys.stdout))
    has_fault = False
    for finding in examine(options.workspace, options.directive, options.key or os.environ.get(_KEY, "")):
        state = painter.paint(f"{finding.state:5}", _COLOURS[finding.state])
        print(f"{state}  {finding.subject:11}  {printable(finding.says)}", flush=True)
        if finding.do:
            print(f"{'':20}{painter.paint('do:', DIM)} {printable(finding.do)}")
        has_fault |= finding.state == "fault"
    return int(has_fault)
