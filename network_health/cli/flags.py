"""Every setting as a flag: ``conn_threshold`` is ``--conn-threshold``.

Law: flags come from the fields of `Settings` and are judged by their rules; nothing here knows a setting.
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
_WORDS: dict[str, tuple[object, ...]] = {
    "on": (True,),
    "true": (True,),
    "off": (False, None),
    "false": (False,),
    "none": (None,),
    "null": (None,),
}
_SHOWN = 60
#: What may be off and is no number, by its unit.
_OPTIONAL = {"path": "FILE", "address": "HOST:PORT"}


def add_settings(
    parser: argparse.ArgumentParser, without: Sequence[str] = (), defaults: Mapping[str, object] | None = None
) -> None:
    """Make every setting but those a flag of ``parser``; `given_settings` reads them.

    ``defaults`` are those of the command, where it has others than the agent.
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


def given_settings(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """The settings that were given as flags, and a sentence for each that is not allowed."""
    given: dict[str, Any] = {}
    mistakes = []
    for setting in fields(Settings):
        words = getattr(options, setting.name, None)
        if words is None:
            continue
        rule: Rule = setting.metadata["rule"]
        try:
            given[setting.name] = read_words(rule, words)
        except NotAllowed:
            mistakes.append(refusal(_flag(setting.name), words, _allowed(setting)))
    return given, mistakes


def refusal(flag: str, words: Sequence[str | None], allowed: str) -> str:
    """The sentence for a flag whose words are not allowed."""
    if words[-1] is None:
        return f"{flag} needs a value: give {allowed}"
    return f"{flag}: {words[-1][:_SHOWN]!r} is not allowed; give {allowed}"


def read_words(rule: Rule, words: Sequence[str | None]) -> Any:  # noqa: ANN401 - what the rule returns
    """What the words after a flag, one for each time it was given, mean to ``rule``.

    Of a flag that is given again the last word holds, but for a list, which takes all.

    Raises:
        NotAllowed: nothing that the rule allows.
    """
    for meaning in _meanings(words):
        try:
            return rule.read(meaning)
        except NotAllowed:
            continue
    raise NotAllowed


def unknown_words(words: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """A sentence for each flag that ``parser`` does not have, and for each word that is no flag's value.

    The word after an unknown flag is taken to be its value.
    """
    known = [flag for _, argument in arguments(parser) for flag in argument.option_strings]
    mistakes, is_value = [], False
    for word in words:
        flag, equals, _ = word.partition("=")
        if re.match(r"--?[A-Za-z]", flag):
            near = _nearest(flag, known)
            hint = f"; did you mean {near}?" if near else ""
            mistakes.append(f"{flag[:_SHOWN]}: unknown option{hint}")
            is_value = not equals
        else:
            if not is_value:
                mistakes.append(f"{word[:_SHOWN]!r}: no such argument is taken")
            is_value = False
    return mistakes


def _nearest(flag: str, known: Sequence[str]) -> str:
    """Those that begin like ``flag``, if they are few, or one that differs by a slip of the hand."""
    begun = [each for each in known if each.startswith(flag) and len(flag) > len("--")]
    return (
        " or ".join(begun)
        if 0 < len(begun) < 4
        else next(iter(difflib.get_close_matches(flag, known, 1, 0.75)), "")
    )


def _meanings(words: Sequence[str | None]) -> Iterator[object]:
    """What it may mean, the likeliest first; the rule takes the one of its kind."""
    last = words[-1]
    if last is None:  # the flag stands alone
        return
    yield from _WORDS.get(last.lower(), ())
    if _NUMBER.fullmatch(last) and len(last) <= _SHOWN:
        yield int(last) if _WHOLE.fullmatch(last) else float(last)
    yield [name.strip() for word in words if word for name in word.split(",") if name.strip()]
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
        return _OPTIONAL.get(setting.metadata["unit"], "N|off")
    return "TEXT" if isinstance(setting.default, str) else "N"


def _allowed(setting: Field[Any]) -> str:
    """What a flag takes: in a file a list has brackets and off is null, in a command line not."""
    rule: Rule = setting.metadata["rule"]
    if isinstance(setting.default, tuple):
        names = re.findall(r'"([^"]+)"', rule.allowed)
        return f"names with commas between them, like {','.join(names)}"
    return rule.allowed.replace("null for off", "off")


def _help(setting: Field[Any], default: object) -> str:
    if isinstance(default, bool) or default is None:
        shown = "on" if default else "off"
    elif isinstance(default, tuple):
        shown = ",".join(default) or "none"
    else:
        shown = str(default)
    is_number = isinstance(default, int | float) and not isinstance(default, bool)
    unit = setting.metadata["unit"] if is_number else ""
    unit = "" if unit == "checks" else unit  # the meaning has said so
    return f"{setting.metadata['meaning']} Default: {shown}{f' {unit}' if unit else ''}."
