"""``network-health check``: one check of this host, without a swarm.

Laws: every mistake of a command line and its file is told at once; without a check the status is UNKNOWN.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from network_health import Monitor, Report, Settings
from network_health.cli import nagios
from network_health.cli.host_options import add_host_options, read_host_options
from network_health.cli.parser import Parser, examples
from network_health.cli.rendering import page
from network_health.cli.text import Painter, plain, use_colour
from network_health.export import Exporter

_SECONDS = 1.0

_EPILOG = (
    examples(
        "network-health check                                   # a page for people",
        "network-health check --conn-threshold 2000 --exclude-interfaces lo,veth*",
        "network-health check --config boot_directives/mine.py --universal-id net-health-1",
        "network-health check --json | jq .metrics.by_status     # what the agent would send",
        "network-health check --nagios --tx-threshold-mbps 250   # for Nagios and Icinga",
        "network-health check --prometheus-textfile /var/lib/prometheus/node-exporter/network_health.prom",
    )
    + """

exit status, as monitoring plugins have it:
  0  OK        nothing found
  1  WARNING   a finding
  2  CRITICAL  a finding, with --critical-after-checks 1
  3  UNKNOWN   a collector failed and nothing was found, or there was no check: a mistake in
               the command line or in the file, or the file of --prometheus-textfile was not written

notes:
  Rates, errors and drops are those of the seconds between the first sample and the check. A
  single check cannot wait for a second one: --alert-after-checks counts as 1.
  Figures for Prometheus are written where --prometheus-textfile says, not where --config does:
  that file is the agent's. A single check does not listen.
  With --nagios each interface has two figures. Nagios cuts a plugin's output at 8 KiB, some 70
  interfaces: where there are more, leave out those of containers (--exclude-interfaces 'veth*')."""
)


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Make ``check`` known."""
    parser = subparsers.add_parser(
        "check",
        help="check this host once, without a swarm",
        usage="network-health check [--json | --nagios] [--seconds N]\n"
        "                            [--config FILE [--universal-id ID]] [--SETTING VALUE ...]",
        description="Checks this host once, without a swarm: takes a first sample, waits a second, checks, "
        "and shows the report. Every setting of the agent is a flag; a flag comes before what --config says.",
        epilog=_EPILOG,
    )
    parser.usage_status = nagios.UNKNOWN
    add_host_options(parser, "how long to watch the rates; default: 1")
    parser.add_argument("--json", action="store_true", help="print exactly the content of the agent's packet")
    parser.add_argument("--nagios", action="store_true", help="print one status line with performance data")
    parser.set_defaults(run=_run, trouble_status=nagios.UNKNOWN)


def one_check(settings: Settings, seconds: float) -> Report:
    """The report of ``seconds`` from now on; never raises.

    What was lost before the first sample is nobody's news: of a command that is run again and again, each
    run would tell it.
    """
    monitor = Monitor(replace(settings, alert_after_checks=1))
    monitor.take_as_reported()
    time.sleep(seconds)
    return monitor.check()


def _run(options: argparse.Namespace) -> int:
    settings, seconds, mistakes = _understand(options)
    if mistakes:
        return _refuse(mistakes, on_stdout=options.nagios)
    unwritten: list[str] = []
    exporter = Exporter(log=lambda _: None, warn=unwritten.append)
    content = exporter.publish(one_check(settings, seconds), settings).as_content()
    status = nagios.exit_status(content) or (nagios.UNKNOWN if unwritten else 0)
    if options.nagios:  # what calls a plugin reads nothing else
        print(nagios.status_line(content, settings, status, unwritten))
        return status
    if options.json:
        print(json.dumps(content, indent=2))
    else:
        print(page(content, settings, Painter(use_colour(sys.stdout))), end="")
    for sentence in unwritten:
        print(f"network-health check: {plain(sentence)}", file=sys.stderr)
    return status


def _understand(options: argparse.Namespace) -> tuple[Settings, float, list[str]]:
    asked = read_host_options(options)
    mistakes = list(asked.mistakes)
    if options.json and options.nagios:
        mistakes.append("--json and --nagios are two kinds of output: choose one")
    if asked.given.get("prometheus_listen"):
        mistakes.append("--prometheus-listen: a single check does not listen; give --prometheus-textfile")
    of_file = replace(asked.of_file, prometheus_textfile=None, prometheus_listen=None)
    return replace(of_file, **asked.given), asked.seconds or _SECONDS, mistakes


def _refuse(mistakes: Sequence[str], *, on_stdout: bool) -> int:
    if on_stdout:  # what calls a plugin reads nothing else
        print(nagios.unknown_line(mistakes))
    else:
        for mistake in mistakes:
            print(f"network-health check: {plain(mistake)}", file=sys.stderr)
    return nagios.UNKNOWN
