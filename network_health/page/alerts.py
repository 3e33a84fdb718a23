"""Prepares kept alerts and their culprits for the page: titles, values and tables of text. Pure.

Guarantees: a bounded number of rows and columns, whatever is kept. A name cannot change the direction of the
text around it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from network_health.history import KeptAlert
from network_health.reporting import printable

#: A table of culprits has at most so many rows and columns, and culprits at most so many tables.
_MAX_ROWS, _MAX_COLUMNS, _MAX_TABLES = 20, 12, 24
_MAX_TEXT = 400
_NESTED = (Mapping, list, tuple)

_CHECKS = {
    "tx_rate": "outbound rate",
    "rx_rate": "inbound rate",
    "packet_errors": "errors and drops",
    "connections": "connection count",
    "namespace_connections": "connection count",
}
_ENDS = {
    "normal": "back to normal",
    "gone": "interface removed",
    "settings": "settings changed",
    "unknown": "not known: the agent was restarted",
}


@dataclass(frozen=True, slots=True)
class Table:
    """A part of the culprits; every row has a text for each column."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class AlertView:
    """One alert; times are epoch seconds, ``end`` is ``None`` if it is active."""

    title: str
    subject: str
    severity: str
    begin: float
    end: float | None
    sentence: str
    values: tuple[tuple[str, str], ...]
    culprits: tuple[Table, ...]


def alert_view(alert: KeptAlert) -> AlertView:
    """The alert as the page shows it."""
    what = alert.aspect or _CHECKS.get(alert.check) or alert.check.replace("_", " ")
    title = what.capitalize() if alert.subject == "host" else f"{alert.subject} {what}"
    values = [
        ("Value at the begin", _text(alert.value)),
        ("Highest value", _text(alert.highest)),
        ("Limit", _text(alert.limit)),
        ("Checks above the limit", _text(alert.checks)),
        ("End", "" if alert.end is None else _ENDS.get(alert.end_reason or "", alert.end_reason or "")),
    ]
    return AlertView(
        title=_cut(title),
        subject=alert.subject,
        severity=alert.severity,
        begin=alert.begin,
        end=alert.end,
        sentence=printable(alert.details),
        values=tuple((label, text) for label, text in values if text),
        culprits=tuple(_tables(alert.culprits or {})),
    )


def _tables(culprits: object) -> Iterator[Table]:
    tables = (_table(title, value) for title, value in _parts("", culprits))
    yield from itertools.islice(filter(None, tables), _MAX_TABLES)


def _parts(title: str, value: object) -> Iterator[tuple[str, object]]:
    """The objects and lists in ``value``: (title, object or list), the outer ones first."""
    yield title, value
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, (list, tuple)):
        return
    for entry in entries[:_MAX_ROWS]:
        if isinstance(entry, Mapping):
            owner = title if entry is value else _joined(title, _name(entry))
            for key, inner in entry.items():
                if isinstance(inner, _NESTED):
                    yield from _parts(_joined(owner, str(key)), inner)


def _name(each: Mapping[str, Any]) -> str:
    """What an entry of a list is about."""
    for key in ("name", "iface", "namespace", "container", "unit", "address", "port"):
        if each.get(key) is not None:
            return str(each[key])
    return ""


def _joined(title: str, key: str) -> str:
    return " · ".join(part for part in (title, key.replace("_", " ")) if part)


def _table(title: str, value: object) -> Table | None:
    """The plain values of an object, or of the entries of a list, as a table."""
    entries = [value] if isinstance(value, Mapping) else value
    if not isinstance(entries, (list, tuple)):
        return None
    rows = [each if isinstance(each, Mapping) else {"value": each} for each in entries]
    columns = [
        key
        for key in dict.fromkeys(key for row in rows for key in row)
        if key != "age_s" and any(_is_plain(row.get(key)) for row in rows)
    ][:_MAX_COLUMNS]
    if not columns:
        return None
    texts = tuple(tuple(_cell(key, row.get(key)) for key in columns) for row in rows[:_MAX_ROWS])
    names = tuple(_cut(str(key).replace("_", " ")) for key in columns)
    return Table(_cut(title), names, texts, len(rows) - len(texts))


def _is_plain(value: object) -> bool:
    return value is not None and not isinstance(value, _NESTED)


def _cell(key: str, value: object) -> str:
    """The text of a value with the unit that its name implies."""
    if isinstance(value, (int, float)) and key.endswith("percent"):
        return f"{_text(value)} %"
    if isinstance(value, int) and key.endswith("bytes"):
        size, unit = next((each for each in _SIZES if value >= each[0]), (1, "bytes"))
        return f"{value / size:.4g} {unit}"
    return _text(value)


_SIZES = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


def _text(value: object) -> str:
    if not _is_plain(value):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if abs(value) < 10_000 else f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return _cut(str(value))


def _cut(text: str) -> str:
    text = printable(text)
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
