"""Defines and reads the options of `check` and `watch`: a file of settings, settings as flags, seconds.

Guarantees: all errors of a command line and its file are reported together.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from network_health import Settings, SettingsOutcome
from network_health.cli.config import read_config
from network_health.cli.flags import (
    add_settings,
    invalid_value,
    parse_values,
    read_settings,
    unknown_arguments,
)
from network_health.cli.parser import Parser
from network_health.settings import NotAllowed, number
from network_health.swarm import SwarmError

_SECONDS = number("a number of seconds from 0.1 to 3600", minimum=0.1, maximum=3600)


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What was given: settings in the file with their names, settings as flags; and a sentence per error."""

    file_settings: Settings
    names_in_file: frozenset[str]
    flag_settings: Mapping[str, Any]
    seconds: float | None
    errors: tuple[str, ...]


def add_host_options(
    parser: Parser, seconds: str, without: Sequence[str] = (), defaults: Mapping[str, object] | None = None
) -> None:
    """Add ``--config``, ``--universal-id``, ``--seconds`` with that help text, and the settings.

    ``without`` are the settings that the command does not have, ``defaults`` its own defaults.
    """
    for flag, metavar, about in (
        ("--config", "FILE", "settings: JSON, TOML (*.toml), or a directive (*.py, JSON), which is not run"),
        ("--universal-id", "ID", "the agent's node in the directive, if there are several"),
        ("--seconds", "N", seconds),
    ):
        parser.add_argument(flag, action="append", nargs="?", metavar=metavar, help=about)
    add_settings(parser, without, defaults)
    parser.set_defaults(unknown=[])


def read_host_options(options: argparse.Namespace) -> HostOptions:
    """Read what `add_host_options` has added."""
    errors = unknown_arguments(options.unknown, options.parser)
    config = _last(options.config, "--config", "a file", errors)
    universal_id = _last(options.universal_id, "--universal-id", "a node", errors)
    if options.universal_id is not None and options.config is None:
        errors.append("--universal-id names a node of a directive: give that with --config")
    seconds: float | None = None
    if options.seconds is not None:
        try:
            seconds = parse_values(_SECONDS, options.seconds)
        except NotAllowed:
            errors.append(invalid_value("--seconds", options.seconds, _SECONDS.allowed))
    outcome, names_in_file = SettingsOutcome(Settings(), {}, ()), frozenset[str]()
    if config is not None:
        try:
            outcome, names_in_file, file_errors = read_config(Path(config), universal_id)
            errors += file_errors
        except SwarmError as error:
            errors.append(str(error))
    flag_settings, flag_errors = read_settings(options)
    return HostOptions(outcome.settings, names_in_file, flag_settings, seconds, (*errors, *flag_errors))


def _last(values: list[str | None] | None, flag: str, allowed: str, errors: list[str]) -> str | None:
    """The last value of a flag; an empty one is an error."""
    if values is None:
        return None
    if not values[-1]:
        errors.append(invalid_value(flag, [None], allowed))
    return values[-1] or None
