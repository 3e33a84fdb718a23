"""Words the mistakes in a config block.

Guarantees: a sentence is printable and of bounded length, whatever the value is.
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterator, Sequence
from typing import Any

from network_health.settings import rules

#: Keys of a node's ``config`` that a framework itself reads, MatrixSwarm or MatrixOS.
FRAMEWORK_KEYS = frozenset(
    {"factories", "matrix_secure_verified", "role", "service-manager", "ui"}
    | {"matrix_secure_store", "priority", "push_live_config", "rpc_router_role", "security"}
)
#: So many unknown keys are named; looking for a known one that is meant takes time.
_MOST_UNKNOWN = 20


class SettingsError(ValueError):
    """One or more settings are not allowed. ``mistakes`` has one sentence each."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("; ".join(mistakes))
        self.mistakes = mistakes


def mistake(key: str, value: object, rule: rules.Rule) -> str:
    """The sentence for a value that is not allowed."""
    return f"{key}: {shown(value)} is not allowed; give {rule.allowed}"


def allowed(name: str, value: object, rule: rules.Rule) -> Any:  # noqa: ANN401 - what the rule reads
    """The value of an argument, as ``rule`` reads it.

    Raises:
        SettingsError: the rule does not allow it.
    """
    try:
        return rule.read(value)
    except rules.NotAllowed:
        raise SettingsError((mistake(name, value, rule),)) from None


def unknown_keys(keys: Sequence[object], known: tuple[str, ...]) -> Iterator[str]:
    """A sentence for each unknown key but `FRAMEWORK_KEYS`; after `_MOST_UNKNOWN` one with their number."""
    keys = [key for key in keys if key not in FRAMEWORK_KEYS]
    for key in keys[:_MOST_UNKNOWN]:
        near = difflib.get_close_matches(key[:60], known, n=1) if isinstance(key, str) else []
        hint = f"; did you mean {near[0]}?" if near else ""
        yield f"{shown(key)}: unknown setting{hint}"
    if len(keys) > _MOST_UNKNOWN:
        yield f"{len(keys) - _MOST_UNKNOWN} more unknown settings"


_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 60


def shown(value: object) -> str:
    """The value as text for a log: one printable line of bounded length."""
    try:
        return _REPR.repr(value)
    except ValueError:  # an int with more digits than Python converts
        return "a number of thousands of digits"
