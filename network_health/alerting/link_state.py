"""Tracks links from check to check and finds those that are down, flapping or gone. Pure.

Guarantees:
- A link is reported as down only if it was seen up, by this monitor or by the one whose state it continues,
  or if it was configured at the start (`expecting`).
  Its operational state decides; if that is unknown, its UP flag. A link that an administrator took down is
  down as well.
- A removed link is not down. A removed physical link (no kind, not ``lo``, its index under no other name) is
  gone until it returns or is excluded. A virtual link, or one of unknown kind, may come and go.
- A link is flapping after more than 2 carrier changes in 2 minutes. If checks are further apart, 2 are
  allowed for each started period of 2 minutes. The kernel counts the changes, so none is missed. Flapping
  ends after 2 minutes without a change. A link has only one finding: gone, flapping or down.
- A link is the same as long as its index is, whatever its name. A changed index, or a counter that went back,
  means that it was created again.
- A bridge has no findings: it is up only while one of its ports is up.
- The size of the state is bounded by the existing links and `MAX_GONE`.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from network_health.alerting.verdict import duration_text
from network_health.collectors import is_excluded
from network_health.model import Finding, Interface, Link
from network_health.settings import Settings

WINDOW_S = 120.0
MAX_CHANGES = 2
#: Two checks that are scheduled two minutes apart may be slightly more.
_JITTER_S = 1.0
#: With more links gone than this, the one that has been gone longest is forgotten.
MAX_GONE = 64

_NOT_UP = frozenset({"down", "lowerlayerdown", "notpresent"})


@dataclass(frozen=True, slots=True)
class TrackedLink:
    """One link. ``earlier`` has previous carrier change counts and when each was last read, oldest first."""

    index: int | None
    kind: str | None
    up: bool
    seen_up: bool
    carrier_changes: int | None
    earlier: tuple[tuple[float, int], ...] = ()
    changed_s: float = -math.inf
    flapping: bool = False

    def changes_until(self, now_s: float) -> tuple[int, float]:
        """Carrier changes in the window that ends now, and its length in seconds."""
        if not self.earlier or self.carrier_changes is None:
            return 0, 0.0
        at_s, count = self.earlier[0]
        return self.carrier_changes - count, now_s - at_s


@dataclass(frozen=True, slots=True)
class LinkStates:
    """The existing links by name at ``at_s``, and the physical links that are gone, the latest last."""

    at_s: float = 0.0
    present: Mapping[str, TrackedLink] = field(default_factory=dict)
    gone: Mapping[str, TrackedLink] = field(default_factory=dict)


def update(
    before: LinkStates, interfaces: Sequence[Interface], settings: Settings, now_s: float
) -> LinkStates:
    """The state after one more reading, made at ``now_s`` on the clock of ``before.at_s``."""
    known = before.present.values()
    by_index: dict[int | None, TrackedLink] = {each.index: each for each in known if each.index is not None}
    present = {
        i.link.name: _tracked(
            by_index.get(i.link.index) or before.present.get(i.link.name), i.link, before.at_s, now_s
        )
        for i in interfaces
    }
    if not settings.link_down_alerts:
        return LinkStates(now_s, present)
    physical = {name: link for name, link in before.present.items() if link.kind == "" and name != "lo"}
    indexes = {link.index for link in present.values()}
    excluded = settings.exclude_interfaces
    gone = [
        (name, link)
        for name, link in {**before.gone, **physical}.items()
        if name not in present and link.index not in indexes and not is_excluded(name, excluded)
    ]
    return LinkStates(now_s, present, dict(gone[-MAX_GONE:]))


def expecting(states: LinkStates, links: Sequence[Link], default_routes: Collection[str]) -> LinkStates:
    """The state in which the configured ones of ``links`` are expected to be up.

    A link is configured if it is administratively up and has an address or a default route. Link-local
    addresses do not count: the kernel keeps one on every link that once had a carrier.
    """
    expected = {
        link.name: replace(states.present[link.name], seen_up=True)
        for link in links
        if link.admin_up and link.name in states.present
        if link.name in default_routes or not all(map(_is_link_local, (*link.ipv4, *link.ipv6)))
    }
    return replace(states, present={**states.present, **expected})


def _is_link_local(address: str) -> bool:
    return ip_address(address).is_link_local


def findings(states: LinkStates) -> Iterator[Finding]:
    """At most one per link; not breached for a link that was never up, or whose flapping has stopped."""
    for name, link in states.present.items():
        if link.kind == "bridge":
            continue
        if link.flapping:
            yield _flapping(name, link, states.at_s)
        elif not link.up:
            text, group = f"{name} is down", _group(link)
            yield Finding("link", name, text, 1, 0, breached=link.seen_up, aspect="down", group=group)
    for name, link in states.gone.items():
        yield Finding("link", name, f"{name} is gone", 1, 0, aspect="gone", group=_group(link))


def _group(link: TrackedLink) -> str:
    """The links that share a sentence with this one."""
    return "links" if link.kind is None else f"{link.kind or 'physical'} links"


def _flapping(name: str, link: TrackedLink, now_s: float) -> Finding:
    changes, window_s = link.changes_until(now_s)
    if _are_too_many(changes, window_s):
        text = f"{name} is flapping: {changes} carrier changes in {duration_text(window_s)}"
        return Finding("link", name, text, changes, MAX_CHANGES, aspect="flapping", group=_group(link))
    text = f"{name} was flapping until {duration_text(now_s - link.changed_s)} ago"
    group = _group(link)
    return Finding("link", name, text, changes, MAX_CHANGES, breached=False, aspect="flapping", group=group)


def _are_too_many(changes: int, window_s: float) -> bool:
    windows = max(1, math.ceil((window_s - _JITTER_S) / WINDOW_S))
    return changes > MAX_CHANGES * windows


def _tracked(before: TrackedLink | None, link: Link, before_s: float, now_s: float) -> TrackedLink:
    up, count = link.up and link.operstate not in _NOT_UP, link.carrier_changes
    if before is None or _is_recreated(before, link):
        return TrackedLink(link.index, link.kind, up, up, count)
    count_before, kind = before.carrier_changes, before.kind if link.kind is None else link.kind
    index = before.index if link.index is None else link.index
    seen, seen_before = (index, up, count, kind), (before.index, before.up, count_before, before.kind)
    if seen == seen_before and not before.flapping:
        return before
    earlier = tuple((at_s, n) for at_s, n in before.earlier if now_s - at_s <= WINDOW_S + _JITTER_S)
    changed_s = before.changed_s
    if count is not None and count_before is not None and count != count_before:
        earlier, changed_s = (*earlier, (before_s, count_before)), now_s
    tracked = TrackedLink(index, kind, up, before.seen_up or up, count, earlier, changed_s)
    still = before.flapping and now_s - changed_s < WINDOW_S
    return replace(tracked, flapping=still or _are_too_many(*tracked.changes_until(now_s)))


def _is_recreated(before: TrackedLink, link: Link) -> bool:
    if None not in (before.index, link.index) and before.index != link.index:
        return True
    then, now = before.carrier_changes, link.carrier_changes
    return then is not None and now is not None and now < then
