"""Turns every setting into a flag: ``conn_threshold`` is ``--conn-threshold``.

Guarantees: the flags follow from the fields and rules of `Settings`; a new setting needs no change here.
"""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import Field, fields
from typing import Any

from network_health.cli.parser import arguments
from network_health.settings import NotAllowed, Rule, Settings

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_CHOICES = re.compile(r'"\w+"(?:(?:, | or )"\w+")+')
_KEYWORDS: dict[str, tuple[object, ...]] = {
    "on": (True,),
    "true": (True,),
    "off": (False, None),
    "false": (False,),
    "none": (None,),
    "null": (None,),
}
#: At most this many characters of an invalid value are printed.
_MAX_SHOWN = 60
#: The metavar of a setting that can be off and is not a number, by its unit.
_OPTIONAL_METAVARS = {"path": "FILE", "address": "HOST:PORT"}


def add_settings(
    parser: argparse.ArgumentParser, without: Sequence[str] = (), defaults: Mapping[str, object] | None = None
) -> None:
    """Add a flag for every setting that is not in ``without``; `read_settings` reads them.

    ``defaults`` are the command's own, where they differ from the agent's.
    """
    group = parser.add_argument_group("settings")
    for setting in fields(Settings):
        if setting.name in without:
            continue
        default = (defaults or {}).get(setting.name, setting.default)
        group.add_argument(
            _flag(setting.name),
            dest=setting.name,
            action="append",
            nargs="?",
            metavar=_metavar(setting),
            help=_help(setting, default).replace("%", "%%"),
        )


def read_settings(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """The settings that were given as flags, and a sentence for each invalid one."""
    settings: dict[str, Any] = {}
    errors = []
    for setting in fields(Settings):
        values = getattr(options, setting.name, None)
        if values is None:
            continue
        try:
            settings[setting.name] = parse_values(setting.metadata["rule"], values)
        except NotAllowed:
            errors.append(invalid_value(_flag(setting.name), values, _allowed(setting)))
    return settings, errors


def invalid_value(flag: str, values: Sequence[str | None], allowed: str) -> str:
    """The sentence for a flag whose value is missing or invalid."""
    if values[-1] is None:
        return f"{flag} needs a value: give {allowed}"
    return f"{flag}: {values[-1][:_MAX_SHOWN]!r} is not allowed; give {allowed}"


def parse_values(rule: Rule, values: Sequence[str | None]) -> Any:  # noqa: ANN401 - what the rule returns
    """The value of a flag that was given once or more: the last one, or for a list all of them.

    Raises:
        NotAllowed: the rule accepts no interpretation of them.
    """
    for interpretation in _interpretations(values):
        try:
            return rule.read(interpretation)
        except NotAllowed:
            continue
    raise NotAllowed


def unknown_arguments(words: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """A sentence for each flag that ``parser`` does not have, and for each unexpected word.

    The word after an unknown flag is taken as its value.
    """
    known = [flag for _, argument in arguments(parser) for flag in argument.option_strings]
    errors, is_value = [], False
    for word in words:
        flag, equals, _ = word.partition("=")
        if re.match(r"--?[A-Za-z]", flag):
            suggestion = _suggestion(flag, known)
            hint = f"; did you mean {suggestion}?" if suggestion else ""
            errors.append(f"{flag[:_MAX_SHOWN]}: unknown option{hint}")
            is_value = not equals
        else:
            if not is_value:
                errors.append(f"{word[:_MAX_SHOWN]!r}: unexpected argument")
            is_value = False
    return errors


def _suggestion(flag: str, known: Sequence[str]) -> str:
    """The flags that start with ``flag``, if there are at most three, else one with a similar spelling."""
    matches = [each for each in known if each.startswith(flag) and len(flag) > len("--")]
    if 0 < len(matches) < 4:
        return " or ".join(matches)
    return next(iter(difflib.get_close_matches(flag, known, 1, 0.75)), "")


def _interpretations(values: Sequence[str | None]) -> Iterator[object]:
    """What the text can mean, the most likely first; the rule decides."""
    last = values[-1]
    if last is None:  # the flag has no value
        return
    yield from _KEYWORDS.get(last.lower(), ())
    if _NUMBER.fullmatch(last) and len(last) <= _MAX_SHOWN:
        yield int(last) if _WHOLE.fullmatch(last) else float(last)
    yield [name.strip() for value in values if value for name in value.split(",") if name.strip()]
    yield last


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _metavar(setting: Field[Any]) -> str:
    rule: Rule = setting.metadata["rule"]
    if isinstance(setting.default, bool):
        return "on|off"
    if _CHOICES.fullmatch(rule.allowed):
        return "|".join(re.findall(r'"(\w+)"', rule.allowed))
    if isinstance(setting.default, tuple):
        return "NAME,..."
    if setting.default is None:
        return _OPTIONAL_METAVARS.get(setting.metadata["unit"], "N|off")
    return "TEXT" if isinstance(setting.default, str) else "N"


def _allowed(setting: Field[Any]) -> str:
    """What a flag takes; the rule's own text describes a file, with brackets for a list and null for off."""
    rule: Rule = setting.metadata["rule"]
    if isinstance(setting.default, tuple):
        names = re.findall(r'"([^"]+)"', rule.allowed)
        return f"names separated by commas, like {','.join(names)}"
    return rule.allowed.replace("null for off", "off")


def _help(setting: Field[Any], default: object) -> str:
    if isinstance(default, bool) or default is None:
        shown = "on" if default else "off"
    elif isinstance(default, tuple):
        shown = ",".join(default) or "none"
    else:
        unit = setting.metadata["unit"]
        has_unit = not isinstance(default, str) and unit not in ("", "checks")  # its sentence says "checks"
        shown = f"{default} {unit}" if has_unit else str(default)
    return f"{setting.metadata['meaning']} Default: {shown}."
