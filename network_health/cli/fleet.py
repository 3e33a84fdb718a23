"""Runs ``network-health fleet``: prints where the files for Prometheus, Grafana and many hosts are."""

from __future__ import annotations

import argparse

from network_health.cli.parser import Parser, examples
from network_health.swarm import FLEET_FILES, fleet_files


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``fleet``."""
    parser = subparsers.add_parser(
        "fleet",
        help="print where the alert rules, the dashboard and the recommended directive are",
        usage=f"network-health fleet [{'|'.join(FLEET_FILES)}]",
        description="Prints the paths of the files that come with this project for many hosts: alert rules "
        "for Prometheus and their tests, a dashboard for Grafana and a file that provisions it, and the "
        "recommended directive. They are installed together with the command.",
        epilog=examples(
            "network-health fleet",
            "network-health fleet rules    # this path alone, for cp and other commands",
        )
        + "\n\nexit status:\n  0  done\n  1  this installation does not have the files",
    )
    parser.add_argument(
        "name",
        nargs="?",
        choices=list(FLEET_FILES),
        metavar="|".join(FLEET_FILES),
        help="print the path of this file alone",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print one path, or all with their names; always 0."""
    paths = fleet_files()
    if options.name:
        print(paths[options.name])
        return 0
    width = max(map(len, paths))
    for name, path in paths.items():
        print(f"{name:<{width}}  {path}")
    return 0
