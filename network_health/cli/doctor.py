"""``network-health doctor``: what would not work, before it does not."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from network_health.cli.parser import Parser, examples
from network_health.cli.text import BAD, DIM, GOOD, WORSE, Painter, plain, use_colour
from network_health.swarm.doctor import examine

_COLOURS = {"ok": GOOD, "note": BAD, "fault": WORSE}
_EPILOG = (
    examples(
        "network-health doctor                                   # the workspace that .swarm points to",
        "network-health doctor ~/.matrixswarm --directive mine   # boot_directives/mine.py there",
    )
    + """

what the lines say:
  ok      works
  note    works, with less
  fault   will not work

exit status:
  0  no fault
  1  at least one fault
  2  the command line was not understood"""
)


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Make ``doctor`` known."""
    parser = subparsers.add_parser(
        "doctor",
        help="say what would not work in a workspace and on this host, and what to do",
        usage="network-health doctor [WORKSPACE] [--directive NAME]",
        description="Looks at the library, the workspace, a directive, this user's rights and the kernel: "
        "says what would not work and what to do about it. Changes nothing and runs no directive. Run it as "
        "the user that boots the swarm.",
        epilog=_EPILOG,
    )
    parser.add_argument(
        "workspace",
        nargs="?",
        type=Path,
        metavar="WORKSPACE",
        help="default: the one that the .swarm pointer names, from this folder upwards or at home",
    )
    parser.add_argument(
        "--directive",
        metavar="NAME",
        help="the directive to look at: a name as matrixswarm-boot takes it, or a file",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    painter = Painter(use_colour(sys.stdout))
    worst = 0
    for finding in examine(options.workspace, options.directive):
        state = painter.paint(f"{finding.state:5}", _COLOURS[finding.state])
        print(f"{state}  {finding.subject:11}  {plain(finding.says)}", flush=True)
        if finding.do:
            print(f"{'':20}{painter.paint('do:', DIM)} {plain(finding.do)}")
        worst |= finding.state == "fault"
    return int(worst)
