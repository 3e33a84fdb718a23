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
from pathlib import Path

from network_health import Monitor, Report, Settings, SettingsOutcome, interfaces, rules
from network_health.cli import nagios
from network_health.cli.config import read_config
from network_health.cli.flags import add_settings, given_settings, read_words, refusal, unknown_flags
from network_health.cli.parser import Parser, examples
from network_health.cli.rendering import page
from network_health.cli.text import Painter, plain, use_colour
from network_health.export import Exporter
from network_health.isolation import Isolated
from network_health.model import LinkReading
from network_health.readers import available, first_answer
from network_health.swarm.errors import SwarmError

__all__ = ["add_to", "one_check"]

_SECONDS = rules.number("a number of seconds from 0.1 to 3600", least=0.1, most=3600)
_LONGEST_READ_S = 10.0

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
  that file is the agent's. A single check does not listen."""
)


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Make ``check`` known."""
    parser = subparsers.add_parser(
        "check",
        help="check this host once, without a swarm",
        usage="network-health check [--config FILE [--universal-id ID]] [--seconds N] [--json | --nagios] "
        "[--SETTING VALUE ...]",
        description="Checks this host once, without a swarm: takes a first sample, waits a second, checks, "
        "and shows the report. Every setting of the agent is a flag; a flag comes before what --config says.",
        epilog=_EPILOG,
    )
    parser.usage_status = nagios.UNKNOWN
    parser.add_argument(
        "--config",
        action="append",
        nargs="?",
        metavar="FILE",
        help="settings: JSON, TOML (*.toml), or a directive (*.py or JSON), which is read but never run",
    )
    parser.add_argument(
        "--universal-id",
        action="append",
        nargs="?",
        metavar="ID",
        help="the agent's node in the directive, if there are several",
    )
    parser.add_argument(
        "--seconds", action="append", nargs="?", metavar="N", help="how long to watch the rates; default: 1"
    )
    parser.add_argument("--json", action="store_true", help="print exactly the content of the agent's packet")
    parser.add_argument("--nagios", action="store_true", help="print one status line with performance data")
    add_settings(parser)
    parser.set_defaults(run=_run, unknown=[], trouble_status=nagios.UNKNOWN)


def one_check(settings: Settings, seconds: float) -> Report:
    """The report of ``seconds`` from now on; never raises.

    What was lost before the first sample is nobody's news: of a command that is run again and again, each
    run would tell it.
    """
    readers = available()
    first = Isolated[LinkReading]("interfaces", _LONGEST_READ_S)
    before = first.run(lambda: first_answer(readers, lambda way: way.links())).value
    marks = interfaces.marks(before) if before is not None else None
    monitor = Monitor(replace(settings, alert_after_checks=1), reported=marks, readers=readers)
    time.sleep(seconds)
    return monitor.check()


def _run(options: argparse.Namespace) -> int:
    settings, seconds, mistakes = _understand(options)
    if mistakes:
        return _refuse(mistakes, on_stdout=options.nagios)
    unwritten: list[str] = []
    exporter = Exporter(log=lambda _: None, warn=unwritten.append)
    content = exporter.publish(one_check(settings, seconds), settings).as_content()
    if options.json:
        print(json.dumps(content, indent=2))
    elif options.nagios:
        print(nagios.status_line(content, settings))
    else:
        print(page(content, settings, Painter(use_colour(sys.stdout))), end="")
    for sentence in unwritten:
        print(f"network-health check: {plain(sentence)}", file=sys.stderr)
    return nagios.exit_status(content) or (nagios.UNKNOWN if unwritten else 0)


def _understand(options: argparse.Namespace) -> tuple[Settings, float, list[str]]:
    mistakes = unknown_flags(options.unknown)
    if options.json and options.nagios:
        mistakes.append("--json and --nagios are two kinds of output: choose one")
    config, universal_id = _text(options, "config", mistakes), _text(options, "universal_id", mistakes)
    if options.universal_id is not None and options.config is None:
        mistakes.append("--universal-id names a node of a directive: give that with --config")
    seconds = 1.0
    if options.seconds is not None:
        try:
            seconds = read_words(_SECONDS, options.seconds)
        except rules.NotAllowed:
            mistakes.append(refusal("--seconds", options.seconds, _SECONDS.allowed))
    outcome = SettingsOutcome(Settings(), (), ())
    if config is not None:
        try:
            outcome, wrong = read_config(Path(config), universal_id)
            mistakes += wrong
        except SwarmError as error:
            mistakes.append(str(error))
    given, wrong_flags = given_settings(options)
    if given.get("prometheus_listen"):
        mistakes.append("--prometheus-listen: a single check does not listen; give --prometheus-textfile")
    of_file = replace(outcome.settings, prometheus_textfile=None, prometheus_listen=None)
    return replace(of_file, **given), seconds, mistakes + wrong_flags


def _text(options: argparse.Namespace, name: str, mistakes: list[str]) -> str | None:
    """The last value of an argument that takes any text but none."""
    words: list[str | None] | None = getattr(options, name)
    if words is not None and words[-1] is None:
        mistakes.append(refusal("--" + name.replace("_", "-"), words, "a value"))
    return words[-1] if words is not None else None


def _refuse(mistakes: Sequence[str], *, on_stdout: bool) -> int:
    if on_stdout:  # what calls a plugin reads nothing else
        print(nagios.unknown_line(mistakes))
    else:
        for mistake in mistakes:
            print(f"network-health check: {plain(mistake)}", file=sys.stderr)
    return nagios.UNKNOWN
