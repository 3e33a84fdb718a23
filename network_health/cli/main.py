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

from network_health.cli import demo, install
from network_health.swarm.errors import SwarmError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status (``arguments`` default to those of the process)."""
    parser = argparse.ArgumentParser(
        prog="network-health", description="Watches a host's network, as an agent of a MatrixSwarm or alone."
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (install, demo):
        command.add_to(subparsers)
    options = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that lacks a sign is no failure
    try:
        status: int = options.run(options)
    except SwarmError as error:
        print(f"network-health: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("network-health: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever was reading has seen enough; nothing more may be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    return status
