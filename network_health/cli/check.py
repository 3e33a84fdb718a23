"""Runs ``network-health check``: one check of this host, without a swarm.

Guarantees: all errors of a command line and its file are reported together; without a check the exit
status is UNKNOWN.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace

from network_health import Monitor, Report, Settings
from network_health.cli import nagios
from network_health.cli.host_options import add_host_options, read_host_options
from network_health.cli.parser import Parser, examples
from network_health.cli.text import print_errors, use_colour
from network_health.export import Exporter
from network_health.reporting import Painter, text_page

_SECONDS = 1.0

_EPILOG = (
    examples(
        "network-health check                                   # a report to read",
        "network-health check --conn-threshold 2000 --exclude-interfaces lo,veth*",
        "network-health check --config boot_directives/mine.py --universal-id net-health-1",
        "network-health check --json | jq .metrics.by_status     # what the agent would send",
        "network-health check --nagios --tx-threshold-mbps 250   # for Nagios and Icinga",
        "network-health check --prometheus-textfile /var/lib/prometheus/node-exporter/network_health.prom",
    )
    + """

exit status, as monitoring plugins define it:
  0  OK        no finding
  1  WARNING   a finding
  2  CRITICAL  a finding, with --critical-after-checks 1
  3  UNKNOWN   no finding, but a collector failed or the file of --prometheus-textfile was not
               written; or no check, because the command line or the file of --config has an error

notes:
  Rates, errors and drops are measured from the first sample to the check. There is no second
  check: --alert-after-checks counts as 1.
  Metrics for Prometheus are written only with the flag --prometheus-textfile: that setting in
  the file of --config is for the agent. A single check does not listen on a port.
  A link that is down already is a finding if it is set up and has an address or a default route;
  bridges and link-local addresses do not count.
  With --nagios each interface has five metrics, and the sums over all interfaces are all_tx_mbps,
  all_rx_mbps, all_tx_errs, all_rx_errs and all_drops. The line stays below 4 KiB: if not all fit,
  those with a finding come first, then those with the highest rates. U is an unknown value."""
)


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``check``."""
    parser = subparsers.add_parser(
        "check",
        help="check this host once, without a swarm",
        usage="network-health check [--json | --nagios] [--seconds N]\n"
        "                            [--config FILE [--universal-id ID]] [--SETTING VALUE ...]",
        description="Checks this host once, without a swarm: takes a first sample, waits a second, checks, "
        "and shows the report. Every setting of the agent is a flag; a flag overrides the file of --config.",
        epilog=_EPILOG,
    )
    parser.usage_status = nagios.UNKNOWN
    add_host_options(parser, "how long to measure the rates; default: 1", ("history", "history_max_mb"))
    parser.add_argument("--json", action="store_true", help="print exactly the content of the agent's packet")
    parser.add_argument("--nagios", action="store_true", help="print one status line with performance data")
    parser.set_defaults(run=_run, failure_status=nagios.UNKNOWN)


def one_check(settings: Settings, seconds: float) -> Report:
    """The report of the next ``seconds``; never raises.

    Errors and drops from before are left out: a command that runs often would report them each time. A link
    that is down already is reported if it is configured: no earlier check has seen it up.
    """
    monitor = Monitor(replace(settings, alert_after_checks=1))
    monitor.skip_earlier_errors()
    monitor.expect_configured_links()
    return next(monitor.checks(seconds))


def _run(options: argparse.Namespace) -> int:
    settings, seconds, errors = _read_options(options)
    if errors:
        if options.nagios:  # Nagios reads only stdout
            print(nagios.unknown_line(errors))
        else:
            print_errors("network-health check", errors)
        return nagios.UNKNOWN
    export_errors: list[str] = []
    exporter = Exporter(log=lambda _: None, warn=export_errors.append)
    content = exporter.publish(one_check(settings, seconds), settings).as_content()
    status = nagios.exit_status(content) or (nagios.UNKNOWN if export_errors else 0)
    if options.nagios:
        print(nagios.status_line(content, settings, status, export_errors))
        return status
    if options.json:
        print(json.dumps(content, indent=2))
    else:
        print(text_page(content, settings, Painter(use_colour(sys.stdout))))
    print_errors("network-health check", export_errors)
    return status


def _read_options(options: argparse.Namespace) -> tuple[Settings, float, list[str]]:
    given = read_host_options(options)
    errors = list(given.errors)
    if options.json and options.nagios:
        errors.append("--json and --nagios are two kinds of output: choose one")
    if given.flag_settings.get("prometheus_listen"):
        errors.append("--prometheus-listen: a single check does not listen; give --prometheus-textfile")
    settings = replace(given.file_settings, prometheus_textfile=None, prometheus_listen=None)
    return replace(settings, **given.flag_settings), given.seconds or _SECONDS, errors
