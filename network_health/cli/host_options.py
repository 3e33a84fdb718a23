"""What the commands that look at this host can be asked: settings, in a file and as flags, and seconds.

Law: every mistake of a command line and its file is told at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from network_health import Settings, SettingsOutcome
from network_health.cli.config import read_config
from network_health.cli.flags import add_settings, given_settings, read_words, refusal, unknown_words
from network_health.cli.parser import Parser
from network_health.settings import NotAllowed, number
from network_health.swarm import SwarmError

_SECONDS = number("a number of seconds from 0.1 to 3600", least=0.1, most=3600)


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What was asked: the settings of the file and their names, those of the flags, a sentence a mistake."""

    of_file: Settings
    in_file: frozenset[str]
    given: Mapping[str, Any]
    seconds: float | None
    mistakes: tuple[str, ...]


def add_host_options(
    parser: Parser, seconds: str, without: Sequence[str] = (), defaults: Mapping[str, object] | None = None
) -> None:
    """Add ``--config``, ``--universal-id``, ``--seconds`` with that meaning, and the settings.

    ``without`` are those that mean nothing to the command, ``defaults`` those that it has of its own.
    """
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
    parser.add_argument("--seconds", action="append", nargs="?", metavar="N", help=seconds)
    add_settings(parser, without, defaults)
    parser.set_defaults(unknown=[])


def read_host_options(options: argparse.Namespace) -> HostOptions:
    """What the options of such a command ask for."""
    mistakes = unknown_words(options.unknown, options.parser)
    config, universal_id = _text(options, "config", mistakes), _text(options, "universal_id", mistakes)
    if options.universal_id is not None and options.config is None:
        mistakes.append("--universal-id names a node of a directive: give that with --config")
    seconds: float | None = None
    if options.seconds is not None:
        try:
            seconds = read_words(_SECONDS, options.seconds)
        except NotAllowed:
            mistakes.append(refusal("--seconds", options.seconds, _SECONDS.allowed))
    outcome, in_file = SettingsOutcome(Settings(), (), ()), frozenset[str]()
    if config is not None:
        try:
            outcome, in_file, wrong = read_config(Path(config), universal_id)
            mistakes += wrong
        except SwarmError as error:
            mistakes.append(str(error))
    given, wrong_flags = given_settings(options)
    return HostOptions(outcome.settings, in_file, given, seconds, (*mistakes, *wrong_flags))


def _text(options: argparse.Namespace, name: str, mistakes: list[str]) -> str | None:
    """The last value of an argument that takes any text but none."""
    words: list[str | None] | None = getattr(options, name)
    if words is None:
        return None
    if not words[-1]:
        mistakes.append(
            refusal("--" + name.replace("_", "-"), [None], "a file" if name == "config" else "a node")
        )
    return words[-1] or None
