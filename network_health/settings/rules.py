"""Validates the values of settings: each rule accepts one kind of value. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: An IPv6 address in brackets, or any text without a colon; then a port.
_ENDPOINT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.]*)):([0-9]{1,5})", re.ASCII)

_BROADCAST = ipaddress.ip_address("255.255.255.255")


class NotAllowed(Exception):
    """A value that a rule refuses; the rule's ``allowed`` names the allowed values."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``read`` returns the value to store, or raises `NotAllowed`."""

    allowed: str
    read: Callable[[object], Any]


#: More than any metric of a host, so that a limit can be made unreachable, yet short enough to be shown.
_MAX = 10**30


def number(allowed: str, *, minimum: float, maximum: float = _MAX) -> Rule:
    """An int or float from ``minimum`` to ``maximum``; no bool."""

    def read(value: object) -> int | float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise NotAllowed
        if not minimum <= value <= maximum:  # also refuses NaN
            raise NotAllowed
        return value

    return Rule(allowed, read)


def threshold(what: str) -> Rule:
    """A limit of the reference agent: a fraction is allowed, and a negative one, which is always exceeded."""
    return number(f"a number of {what} from -10^30 to 10^30", minimum=-_MAX)


def integer(allowed: str, *, minimum: int, maximum: float = _MAX) -> Rule:
    """A whole number; ``60.0`` is accepted, because JSON may write it so."""
    bounded = number(allowed, minimum=minimum, maximum=maximum)

    def read(value: object) -> int:
        number_read = bounded.read(value)
        if number_read != int(number_read):
            raise NotAllowed
        return int(number_read)

    return Rule(allowed, read)


def text(allowed: str) -> Rule:
    """A string that is not blank."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise NotAllowed
        return value

    return Rule(allowed, read)


def boolean() -> Rule:
    """True or false; no number and no text."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise NotAllowed
        return value

    return Rule("true or false", read)


def optional(rule: Rule) -> Rule:
    """A value that ``rule`` allows, or ``None``."""
    allowed = f"{rule.allowed}, or null for off"
    return Rule(allowed, lambda value: None if value is None else rule.read(value))


def choice(*choices: str) -> Rule:
    """One of the given words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise NotAllowed
        return value

    return Rule(" or ".join(f'"{choice}"' for choice in choices), read)


def names(allowed: str) -> Rule:
    """A list of strings that are not empty; stored as a tuple."""

    def read(value: object) -> tuple[str, ...]:
        if isinstance(value, (set, frozenset)):
            value = sorted(value, key=str)
        if not isinstance(value, (list, tuple)):
            raise NotAllowed
        if not all(isinstance(name, str) and name for name in value):
            raise NotAllowed
        return tuple(value)

    return Rule(allowed, read)


def subset(*choices: str) -> Rule:
    """A list of some of the given words; stored as a tuple."""
    listed = names(f"a list with any of {', '.join(json.dumps(choice) for choice in choices)}")

    def read(value: object) -> tuple[str, ...]:
        words: tuple[str, ...] = listed.read(value)
        if not set(words) <= set(choices):
            raise NotAllowed
        return words

    return Rule(listed.allowed, read)


def textfile() -> Rule:
    """The path of a file that node_exporter's textfile collector reads."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not value.isprintable():
            raise NotAllowed
        if not value.startswith("/") or not value.endswith(".prom"):
            raise NotAllowed
        return value

    return Rule("an absolute path that ends in .prom", read)


def switch_or_path(what: str) -> Rule:
    """True, false, or the absolute path of a file; null is false."""

    def read(value: object) -> bool | str:
        if value is None or isinstance(value, bool):
            return bool(value)
        if not isinstance(value, str) or not value.isprintable():
            raise NotAllowed
        if not value.startswith("/") or value.endswith("/"):
            raise NotAllowed
        return value

    return Rule(f"true, false, or the absolute path of {what}", read)


def endpoint() -> Rule:
    """An address to listen on, stored with its host: ``:9101`` becomes ``127.0.0.1:9101``."""

    def read(value: object) -> str:
        match = isinstance(value, str) and _ENDPOINT.fullmatch(value)
        if not match or not 1 <= int(match[3]) <= 65535:
            raise NotAllowed
        host = match[1] or match[2]
        try:
            address = ipaddress.ip_address("127.0.0.1" if host in ("", "localhost") else host)
        except ValueError:
            raise NotAllowed from None
        if (address.version == 6) != (match[1] is not None):
            raise NotAllowed
        if address.is_multicast or address == _BROADCAST:  # the system would listen there without an error
            raise NotAllowed
        return f"[{address}]:{int(match[3])}" if match[1] else f"{address}:{int(match[3])}"

    return Rule('"HOST:PORT" with an IP address of this host, or ":PORT" for 127.0.0.1', read)
