"""Defines the state of the live view, and how a check or a key changes it. Pure.

Guarantees: a key changes what is shown, never what is checked. While the view is paused, no report is lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from network_health import Report
from network_health.cli.watch.history import SLOT_S, History
from network_health.reporting import Content

Order = Literal["cpu", "memory", "network"]

QUIT, REDRAW = "q", "\x0c"
ORDER_KEYS: Mapping[str, Order] = {"c": "cpu", "m": "memory", "n": "network"}

_MAX_CHANGES = 50


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check: its report, its start and the start of the next one (`time.monotonic`), its duration."""

    report: Report
    started_s: float
    next_s: float
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class HostData:
    """What is known of the host: the content of the last report, the history, and the last changes.

    ``changes`` are (epoch seconds, sentence), the newest first. A check starts every ``interval_s`` and takes
    ``duration_s``.
    """

    content: Content | None = None
    history: History = field(default_factory=History)
    changes: tuple[tuple[float, str], ...] = ()
    interval_s: float = 0.0
    duration_s: float = 0.0

    def after_check(self, result: CheckResult) -> HostData:
        """The data with one more check."""
        content = result.report.as_content()
        changes = tuple((content["timestamp"], change) for change in reversed(result.report.changes))
        return HostData(
            content,
            self.history.after(content["metrics"], result.started_s),
            (*changes, *self.changes)[:_MAX_CHANGES],
            result.next_s - result.started_s,
            result.duration_s,
        )


@dataclass(frozen=True, slots=True)
class State:
    """The view. ``seconds`` is the requested interval; ``late_s`` is set while a check is late."""

    seconds: float
    data: HostData = field(default_factory=HostData)
    paused: HostData | None = None
    order: Order = "cpu"
    by_name: bool = False
    late_s: float | None = None

    @classmethod
    def initial(cls, seconds: float) -> State:
        """The view before the first check."""
        return cls(seconds, HostData(history=History(max(SLOT_S, seconds))))

    def after_check(self, result: CheckResult) -> State:
        """The view with one more check."""
        return replace(self, data=self.data.after_check(result), late_s=None)

    @property
    def shown(self) -> HostData:
        """The data on the screen: while the view is paused, those of the moment when that began."""
        return self.paused or self.data

    def after_key(self, key: str) -> State:
        """The view after a key; an unknown key changes nothing."""
        if key in ORDER_KEYS:
            return replace(self, order=ORDER_KEYS[key])
        if key == "i":
            return replace(self, by_name=not self.by_name)
        if key == "p":
            return replace(self, paused=None if self.paused else self.data)
        return self


#: What a terminal sends for arrows, function keys and a key with Alt: its letters are no keys.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|[^\[O])?")
_UNFINISHED = re.compile(r"\x1b(?:\[[ -?]{0,16}|O)\Z")


def parse_keys(typed: str) -> tuple[Iterator[str], str]:
    """The keys in what was typed, and an escape sequence at its end that is not complete yet."""
    unfinished = _UNFINISHED.search(typed)
    rest = unfinished[0] if unfinished else ""
    whole = typed.removesuffix(rest)
    return iter(_SEQUENCE.sub("", whole).lower()), rest
