"""What a live view shows at one moment, and what a key does to it. Pure.

Laws: a key changes what is shown, never what is checked. While it is paused the view stands still, and
what comes in meanwhile is not lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from network_health import Report
from network_health.cli.watch.history import SLOT_S, History

Order = Literal["cpu", "memory", "network"]

QUIT, REDRAW = "q", "\x0c"
#: By which key processes are put in which order.
KEYS: Mapping[str, Order] = {"c": "cpu", "m": "memory", "n": "network"}

_LATELY = 50


@dataclass(frozen=True, slots=True)
class Sight:
    """One check: its report, when it began and when the next is due (`time.monotonic`), what it took."""

    report: Report
    at_s: float
    next_s: float
    took_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the host: the content of the last report, the history, and what changed lately.

    ``lately`` has (epoch seconds, sentence), the newest first. Checks are ``pace_s`` apart and
    take ``took_s``.
    """

    content: Mapping[str, Any] | None = None
    history: History = field(default_factory=History)
    lately: tuple[tuple[float, str], ...] = ()
    pace_s: float = 0.0
    took_s: float = 0.0

    def after(self, sight: Sight) -> Seen:
        """What is known after one more check."""
        content = sight.report.as_content()
        news = tuple((content["timestamp"], change) for change in reversed(sight.report.changes))
        history = self.history.after(content["metrics"], sight.at_s)
        lately = (*news, *self.lately)[:_LATELY]
        return Seen(content, history, lately, sight.next_s - sight.at_s, sight.took_s)


@dataclass(frozen=True, slots=True)
class State:
    """The view. ``late_s`` says for how long a check has had no answer, once that is worth a word."""

    seconds: float
    seen: Seen = field(default_factory=Seen)
    held: Seen | None = None
    order: Order = "cpu"
    by_name: bool = False
    late_s: float | None = None

    @classmethod
    def of(cls, seconds: float) -> State:
        """The view of checks that are to be so far apart, before the first of them."""
        return cls(seconds, Seen(history=History(max(SLOT_S, seconds))))

    def after(self, sight: Sight) -> State:
        """The view when a report has come in."""
        return replace(self, seen=self.seen.after(sight), late_s=None)

    @property
    def shown(self) -> Seen:
        """What stands on the screen."""
        return self.held or self.seen

    def pressed(self, key: str) -> State:
        """The view after a key; one that means nothing changes nothing."""
        if key in KEYS:
            return replace(self, order=KEYS[key])
        if key == "i":
            return replace(self, by_name=not self.by_name)
        if key == "p":
            return replace(self, held=None if self.held else self.seen)
        return self


#: What arrows, function keys and a key with Alt send: not the letters that it is made of.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O[ -~]|[^\[O])?")
_UNFINISHED = re.compile(r"\x1b(?:\[[ -?]{0,16}|O)\Z")


def keys_in(typed: str) -> tuple[Iterator[str], str]:
    """The keys in what was typed, and its end that is only the beginning of a key's sequence."""
    unfinished = _UNFINISHED.search(typed)
    rest = unfinished[0] if unfinished else ""
    whole = typed.removesuffix(rest)
    return iter(_SEQUENCE.sub("", whole).lower()), rest
