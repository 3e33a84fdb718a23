"""What a setting may be: each rule reads one kind of value or refuses it. Pure."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: An IPv6 address in brackets, or whatever has no colon; then a port.
_ENDPOINT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z.]*)):([0-9]{1,5})", re.ASCII)

_BROADCAST = ipaddress.ip_address("255.255.255.255")


class NotAllowed(Exception):
    """A value that a rule refuses; the rule's ``allowed`` says what would do."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one setting is read: ``read`` returns the value to keep or raises `NotAllowed`."""

    allowed: str
    read: Callable[[object], Any]


#: Far more than any figure of a host, so that a limit can be put out of reach; and it can still be shown.
MOST = 10**30


def number(allowed: str, *, least: float, most: float = MOST) -> Rule:
    """An int or float from ``least`` to ``most``; no bool."""

    def read(value: object) -> int | float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise NotAllowed
        if not least <= value <= most:  # a NaN compares false
            raise NotAllowed
        return value

    return Rule(allowed, read)


def whole(allowed: str, *, least: int, most: float = MOST) -> Rule:
    """A whole number; ``60.0``, as JSON may write it, is one."""
    bounded = number(allowed, least=least, most=most)

    def read(value: object) -> int:
        kept = bounded.read(value)
        if kept != int(kept):
            raise NotAllowed
        return int(kept)

    return Rule(allowed, read)


def text(allowed: str) -> Rule:
    """A string that is not blank."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            raise NotAllowed
        return value

    return Rule(allowed, read)


def flag() -> Rule:
    """True or false, and nothing that merely looks like it."""

    def read(value: object) -> bool:
        if not isinstance(value, bool):
            raise NotAllowed
        return value

    return Rule("true or false", read)


def or_off(rule: Rule) -> Rule:
    """What ``rule`` allows, or ``None``."""
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
    """A list of strings that are not empty; kept as a tuple."""

    def read(value: object) -> tuple[str, ...]:
        if isinstance(value, (set, frozenset)):
            value = sorted(value, key=str)
        if not isinstance(value, (list, tuple)):
            raise NotAllowed
        if not all(isinstance(name, str) and name for name in value):
            raise NotAllowed
        return tuple(value)

    return Rule(allowed, read)


def choices(*choices: str) -> Rule:
    """A list out of the given words; kept as a tuple."""
    listed = names(f"a list out of {', '.join(json.dumps(choice) for choice in choices)}")

    def read(value: object) -> tuple[str, ...]:
        kept: tuple[str, ...] = listed.read(value)
        if not set(kept) <= set(choices):
            raise NotAllowed
        return kept

    return Rule(listed.allowed, read)


def textfile() -> Rule:
    """The path of a file that node_exporter's textfile collector reads."""

    def read(value: object) -> str:
        if not isinstance(value, str) or not value.isprintable():
            raise NotAllowed
        if not value.startswith("/") or not value.endswith(".prom"):
            raise NotAllowed
        return value

    return Rule("a path from / on that ends in .prom", read)


def endpoint() -> Rule:
    """An address to listen on, kept with its host written out: ``:9101`` is ``127.0.0.1:9101``."""

    def read(value: object) -> str:
        found = isinstance(value, str) and _ENDPOINT.fullmatch(value)
        if not found or not 1 <= int(found[3]) <= 65535:
            raise NotAllowed
        host = found[1] or found[2]
        try:
            address = ipaddress.ip_address("127.0.0.1" if host in ("", "localhost") else host)
        except ValueError:
            raise NotAllowed from None
        if (address.version == 6) != (found[1] is not None):
            raise NotAllowed
        if address.is_multicast or address == _BROADCAST:  # of nobody's, though the system takes it
            raise NotAllowed
        return f"[{address}]:{int(found[3])}" if found[1] else f"{address}:{int(found[3])}"

    return Rule('"HOST:PORT" with an IP address of this host, or ":PORT" for 127.0.0.1', read)
