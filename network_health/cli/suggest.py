"""Runs ``network-health suggest``: limits that fit what was normal, and a replay of the history with them."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from network_health.cli.flags import invalid_value, parse_values
from network_health.cli.history_file import add_history_file, open_history
from network_health.cli.parser import Parser, examples
from network_health.cli.suggestion_text import advice_json, advice_text, coverage_text
from network_health.cli.text import use_colour
from network_health.cli.time_range import add_range, read_range
from network_health.history import REPLAYED, Coverage, TooLittleHistory, advise
from network_health.reporting import Painter
from network_health.settings import NotAllowed, Settings, shown
from network_health.swarm import SwarmError

_RULES = {field.name: field.metadata["rule"] for field in fields(Settings)}

_EPILOG = (
    examples(
        "network-health suggest                                # limits for the agent of this host",
        "network-health suggest --since 7d                     # from the last week only",
        "network-health suggest --set conn_threshold=2000      # what another limit would have done",
        'network-health suggest --set alert_after_checks=3 --set \'exclude_interfaces=["lo", "veth*"]\'',
        "network-health suggest --json | jq .config            # the config block alone",
    )
    + """

exit status:
  0  there is a suggestion, or a replay
  1  no history, or less than a day of it: nothing is suggested

notes:
  What was normal is the highest value of each five minutes, since a single check breaches a limit.
  Each check is kept for 48 hours; before that there are summaries. A replay of a summary takes the
  highest values of its period as one check: it overstates, and never hides an alert that was longer
  than the period.
  The replay finds alerts on limits and links. It knows only interfaces, containers and metrics that
  the agent looked at: one that was excluded then, or off, is missing."""
)


def add_to(subparsers: argparse._SubParsersAction[Parser]) -> None:
    """Add the subcommand ``suggest``."""
    parser = subparsers.add_parser(
        "suggest",
        help="suggest limits from the history, and replay it with them",
        usage="network-health suggest [--since TIME] [--until TIME] [--set NAME=VALUE ...] [--json] [FILE]",
        description="Shows for each limit what was normal, suggests a value, and replays the history: how "
        "many alerts there are with the present settings, and how many with the suggested ones.",
        epilog=_EPILOG,
    )
    add_history_file(parser)
    add_range(parser, since="30d")
    parser.add_argument(
        "--set",
        dest="chosen",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="replay this value of a setting instead of the suggested ones; can be repeated",
    )
    parser.add_argument("--json", action="store_true", help="print all as JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    chosen = _chosen(options.chosen)
    span = read_range(options, time.time())
    try:
        with open_history(options.file) as history:
            in_force = history.limits(span.since, span.until)
            present = in_force[-1].settings if in_force else Settings()
            advice = advise(history.checks, (span.since, span.until), present, chosen)
            recorded = len(history.alerts(span.since, span.until))
            if options.json:
                text = json.dumps(advice_json(advice, recorded), indent=2, allow_nan=False) + "\n"
            else:
                painter = Painter(use_colour(sys.stdout))
                text = advice_text(advice, recorded, painter, chosen=chosen is not None)
    except TooLittleHistory as error:
        raise SwarmError(_too_little(error.coverage)) from None
    print(text, end="")
    return 0


def _too_little(coverage: Coverage) -> str:
    if coverage.since is None:
        return "there is no check in this range: nothing can be suggested"
    return (
        f"this range has {coverage_text(coverage)} of history, and a day is needed to suggest limits; "
        "--set NAME=VALUE replays a value all the same"
    )


def _chosen(words: Sequence[str]) -> dict[str, Any] | None:
    """The settings of ``--set``; ``None`` if it was not given.

    Raises:
        SwarmError: a setting is not known, does not decide about alerts, or its value is not allowed.
    """
    chosen, errors = {}, []
    for word in words:
        name, equals, text = word.partition("=")
        if name not in _RULES:
            errors.append(f"--set: {shown(name)} is no setting; see network-health check --help")
        elif name not in REPLAYED:
            errors.append(
                f"--set {name}: it does not decide which alerts there are, so nothing can be replayed"
            )
        else:
            try:
                chosen[name] = _value(name, text if equals else None)
            except NotAllowed:
                errors.append(
                    invalid_value(f"--set {name}", [text if equals else None], _RULES[name].allowed)
                )
    if errors:
        raise SwarmError("; ".join(errors))
    return chosen or None


def _value(name: str, text: str | None) -> object:
    """The value as JSON, or else as a flag of ``check`` has it.

    Raises:
        NotAllowed: it is neither.
    """
    try:
        return _RULES[name].read(json.loads(text or ""))
    except (ValueError, RecursionError, NotAllowed):
        return parse_values(_RULES[name], [text])
