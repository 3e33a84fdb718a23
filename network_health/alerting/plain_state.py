"""Converts the state of alerting to plain JSON values and back. Pure.

Guarantees: `to_plain` has the times of the state's monotonic clock. `from_plain` returns only a state that
`alert_state.step` can continue, or raises.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import astuple, fields, replace
from typing import Any, Literal, TypeVar

from network_health.alerting.alert_state import AlertState
from network_health.alerting.link_state import LinkStates, TrackedLink
from network_health.alerting.verdict import Alert
from network_health.model import Finding
from network_health.settings import Settings, SettingsError

T = TypeVar("T")

#: A time of the saved clock -> a time of this process's clock.
Clock = Callable[[float], float]

_SEVERITIES: tuple[Literal["WARNING", "CRITICAL"], ...] = ("WARNING", "CRITICAL")
_STATES: tuple[Literal["breached", "clearing", "unknown"], ...] = ("breached", "clearing", "unknown")


def to_plain(state: AlertState) -> dict[str, Any]:
    """The state without the time of the last report: a new process always begins with a report."""
    links, settings = state.links, state.settings or Settings()
    return {
        "alerts": [_plain_alert(alert) for alert in state.alerts.values()],
        "links_at_s": links.at_s,
        "links": [_plain_link(name, link) for name, link in links.present.items()],
        "gone": [_plain_link(name, link) for name, link in links.gone.items()],
        "failed": sorted(state.failed),
        "settings": {
            field.name: value
            for field in fields(settings)
            if (value := getattr(settings, field.name)) != field.default
        },
    }


def from_plain(plain: Mapping[str, Any], clock: Clock, *, same_boot: bool) -> AlertState:
    """The state that `to_plain` was given.

    After a boot of the host, indexes and carrier counts are dropped, and a link that is missing now is not
    gone: it may have been removed while the host was off.

    Raises:
        ValueError, TypeError, KeyError: ``plain`` is not a result of `to_plain`.
    """
    alerts = [_alert(row, clock) for row in _list(plain["alerts"])]
    present = dict(_link(row, clock, same_boot=same_boot) for row in _list(plain["links"]))
    gone = dict(_link(row, clock, same_boot=same_boot) for row in _list(plain["gone"])) if same_boot else {}
    try:
        settings = Settings.from_mapping(plain["settings"])
    except SettingsError:  # those of another version
        settings = None
    return AlertState(
        {(alert.finding.check, alert.finding.subject): alert for alert in alerts},
        LinkStates(clock(_number(plain["links_at_s"])), present, gone),
        frozenset(_text(name) for name in _list(plain["failed"])),
        settings,
    )


def _plain_alert(alert: Alert) -> list[Any]:
    state = alert.since, alert.since_s, alert.checks, alert.active, alert.severity, alert.state
    return [*astuple(alert.finding), *state]


def _alert(row: object, clock: Clock) -> Alert:
    check, subject, text, value, limit, breached, aspect, culprit, group, *rest = _list(row)
    since, since_s, checks, active, severity, state = rest
    return Alert(
        Finding(
            _text(check),
            _text(subject),
            _text(text),
            _number(value),
            _number(limit),
            _flag(breached),
            _text(aspect),
            _text(culprit),
            _text(group),
        ),
        _number(since),
        clock(_number(since_s)),
        _count(checks),
        _flag(active),
        _one_of(severity, _SEVERITIES),
        _one_of(state, _STATES),
    )


def _plain_link(name: str, link: TrackedLink) -> list[Any]:
    changed_s = link.changed_s if math.isfinite(link.changed_s) else None
    state = link.index, link.kind, link.up, link.seen_up, link.carrier_changes
    history = [list(link.earlier), changed_s, link.flapping]
    return [name, *state, *(history if link.earlier or changed_s is not None else ())]


def _link(row: object, clock: Clock, *, same_boot: bool) -> tuple[str, TrackedLink]:
    name, index, kind, up, seen_up, carrier_changes, *history = _list(row)
    if not same_boot:
        return _text(name), TrackedLink(None, None, _flag(up), _flag(seen_up), None)
    link = TrackedLink(
        index=_or_none(_count, index),
        kind=_or_none(_text, kind),
        up=_flag(up),
        seen_up=_flag(seen_up),
        carrier_changes=_or_none(_count, carrier_changes),
    )
    if not history:
        return _text(name), link
    earlier, changed_s, flapping = history
    return _text(name), replace(
        link,
        earlier=tuple((clock(_number(at_s)), _count(count)) for at_s, count in map(_list, _list(earlier))),
        changed_s=-math.inf if changed_s is None else clock(_number(changed_s)),
        flapping=_flag(flapping),
    )


def _or_none(read: Callable[[object], T], value: object) -> T | None:
    return None if value is None else read(value)


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"not a list: {value!r:.80}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r:.80}")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"not true or false: {value!r:.80}")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e30:
        raise ValueError(f"not a number: {value!r:.80}")
    return value


def _count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise ValueError(f"not a count: {value!r:.80}")
    return value


def _one_of(value: object, choices: tuple[T, ...]) -> T:
    if value not in choices:
        raise ValueError(f"not one of {choices}: {value!r:.80}")
    return choices[choices.index(value)]
