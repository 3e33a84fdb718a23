"""What the links went through from check to check: down, flapping, gone. Pure.

Laws:
- Down is a link that this monitor has seen up. Where the operational state is unknown, the flag alone
  decides. Taken down by an administrator is down as well.
- A link that was removed is not down. A physical one (no kind, not ``lo``, its index under no other name)
  is gone until it returns or is excluded; a virtual one, or one of unknown kind, may come and go.
- Flapping is more than 2 carrier changes in 2 minutes, by the kernel's own counter, so that none is missed
  between two checks; with checks farther apart than that, more than 2 for each 2 minutes begun. It is
  over after 2 minutes without a change. While it lasts, up and down are told no more: a link is either
  gone, flapping or down.
- Another index, or a counter that went back, is another link under the same name.
- A bridge has no state of its own: it is up while one of its ports is, and goes down with its last one,
  as a container host's does whenever no container runs.
- What is kept is bounded by the links that exist, and `MOST_GONE`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from network_health.alerting.verdict import in_words
from network_health.collectors import is_excluded
from network_health.model import Finding, Interface, Link
from network_health.settings import Settings

WINDOW_S = 120.0
MOST_CHANGES = 2
#: Checks that are meant to be two minutes apart may be a little more.
_JITTER_S = 1.0
#: Past this many the link that has been gone longest is forgotten.
MOST_GONE = 64

_NOT_UP = frozenset({"down", "lowerlayerdown", "notpresent"})


@dataclass(frozen=True, slots=True)
class _Memory:
    """One link. ``past`` has earlier counts with the time each was last seen, oldest first."""

    index: int | None
    kind: str | None
    up: bool
    seen_up: bool
    carrier_changes: int | None
    past: tuple[tuple[float, int], ...] = ()
    changed_s: float = -math.inf
    flapping: bool = False

    def changes_since(self, now_s: float) -> tuple[int, float]:
        """Carrier changes of the window, and how long it is in seconds."""
        if not self.past or self.carrier_changes is None:
            return 0, 0.0
        at_s, count = self.past[0]
        return self.carrier_changes - count, now_s - at_s


@dataclass(frozen=True, slots=True)
class LinkStates:
    """The links by name, as of ``at_s``, and the physical ones that are gone, the latest last."""

    at_s: float = 0.0
    known: Mapping[str, _Memory] = field(default_factory=dict)
    gone: Mapping[str, _Memory] = field(default_factory=dict)


def follow(
    before: LinkStates, interfaces: Sequence[Interface], settings: Settings, now_s: float
) -> LinkStates:
    """The state after one more reading, made at ``now_s`` on the clock of ``before.at_s``."""
    known = {
        i.link.name: _remember(before.known.get(i.link.name), i.link, before.at_s, now_s) for i in interfaces
    }
    if not settings.link_down_alerts:
        return LinkStates(now_s, known)
    lost = {name: memory for name, memory in before.known.items() if memory.kind == "" and name != "lo"}
    here = {memory.index for memory in known.values()}
    excluded = settings.exclude_interfaces
    gone = [
        (name, memory)
        for name, memory in {**before.gone, **lost}.items()
        if name not in known and memory.index not in here and not is_excluded(name, excluded)
    ]
    return LinkStates(now_s, known, dict(gone[-MOST_GONE:]))


def findings(states: LinkStates) -> Iterator[Finding]:
    """At most one for each link; in one that was never seen up, or is quiet again, nothing is breached."""
    for name, memory in states.known.items():
        if memory.kind == "bridge":
            continue
        if memory.flapping:
            yield _flapping(name, memory, states.at_s)
        elif not memory.up:
            yield Finding("link", name, f"{name} is down", 1, 0, breached=memory.seen_up, aspect="down")
    for name in states.gone:
        yield Finding("link", name, f"{name} is gone", 1, 0, aspect="gone")


def _flapping(name: str, memory: _Memory, now_s: float) -> Finding:
    changes, window_s = memory.changes_since(now_s)
    if _are_too_many(changes, window_s):
        text = f"{name} is flapping: {changes} carrier changes in {in_words(window_s)}"
        return Finding("link", name, text, changes, MOST_CHANGES, aspect="flapping")
    text = f"{name} was flapping until {in_words(now_s - memory.changed_s)} ago"
    return Finding("link", name, text, changes, MOST_CHANGES, breached=False, aspect="flapping")


def _are_too_many(changes: int, window_s: float) -> bool:
    windows = max(1, math.ceil((window_s - _JITTER_S) / WINDOW_S))
    return changes > MOST_CHANGES * windows


def _remember(before: _Memory | None, link: Link, before_s: float, now_s: float) -> _Memory:
    up, count = link.up and link.operstate not in _NOT_UP, link.carrier_changes
    if before is None or _is_another(before, link):
        return _Memory(link.index, link.kind, up, up, count)
    then, kind = before.carrier_changes, before.kind if link.kind is None else link.kind
    if (up, count, kind) == (before.up, then, before.kind) and not before.flapping:
        return before
    past = tuple((at_s, earlier) for at_s, earlier in before.past if now_s - at_s <= WINDOW_S + _JITTER_S)
    changed_s = before.changed_s
    if count is not None and then is not None and count != then:
        past, changed_s = (*past, (before_s, then)), now_s
    memory = _Memory(link.index, kind, up, before.seen_up or up, count, past, changed_s)
    still = before.flapping and now_s - changed_s < WINDOW_S
    return replace(memory, flapping=still or _are_too_many(*memory.changes_since(now_s)))


def _is_another(before: _Memory, link: Link) -> bool:
    if None not in (before.index, link.index) and before.index != link.index:
        return True
    then, now = before.carrier_changes, link.carrier_changes
    return then is not None and now is not None and now < then
