"""Declares settings: fields of a dataclass with a rule, a unit and a meaning. Pure."""

from __future__ import annotations

from dataclasses import field
from typing import TypeVar

from network_health.settings import rules

T = TypeVar("T")

_PERCENT = rules.optional(rules.number("a percentage from 0 to 100", minimum=0, maximum=100))
_PER_SEC = rules.optional(rules.number("a rate per second from 0 to 10^30", minimum=0))


def setting(default: T, rule: rules.Rule, unit: str, meaning: str) -> T:
    """A field with what the tables, the flags and the errors say about it."""
    return field(default=default, metadata={"rule": rule, "unit": unit, "meaning": meaning})


def percent_limit(meaning: str) -> float | None:
    """A limit in percent, which is off by default."""
    return setting(None, _PERCENT, "%", meaning)


def rate_limit(meaning: str) -> float | None:
    """A limit per second, which is off by default."""
    return setting(None, _PER_SEC, "1/s", meaning)
