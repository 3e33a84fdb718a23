"""Declares settings: fields of a dataclass with a rule, a unit and a meaning. Pure."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from network_health.settings import rules

_PERCENT = rules.optional(rules.number("a percentage from 0 to 100", minimum=0, maximum=100))
_PER_SEC = rules.optional(rules.number("a rate per second from 0 to 10^30", minimum=0))


def setting(default: object, rule: rules.Rule, unit: str, meaning: str) -> Any:  # noqa: ANN401 - as `field` does
    """A setting."""
    return field(default=default, metadata={"rule": rule, "unit": unit, "meaning": meaning})


def percent_limit(meaning: str) -> Any:  # noqa: ANN401 - as `field` does
    """A limit in percent, which is off by default."""
    return setting(None, _PERCENT, "%", meaning)


def rate_limit(meaning: str) -> Any:  # noqa: ANN401 - as `field` does
    """A limit per second, which is off by default."""
    return setting(None, _PER_SEC, "1/s", meaning)
