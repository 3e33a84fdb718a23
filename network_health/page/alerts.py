"""Prepares kept alerts and their culprits for the page: titles, values and tables of text. Pure.

Guarantees: a bounded number of rows and columns, whatever is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from network_health.history import KeptAlert

#: A table of culprits has at most so many rows and columns, and culprits at most so many tables.
_MAX_ROWS, _MAX_COLUMNS, _MAX_TABLES = 20, 12, 24
_MAX_TEXT = 400

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
        sentence=alert.details,
        values=tuple((label, text) for label, text in values if text),
        culprits=tuple(_tables(alert.culprits or {})),
    )


def _tables(culprits: Mapping[str, Any]) -> Iterator[Table]:
    found = 0
    for title, value in _parts("", culprits):
        table = _table(title, value)
        if table is not None:
            yield table
            found += 1
        if found == _MAX_TABLES:
            return


def _parts(title: str, value: object) -> Iterator[tuple[str, object]]:
    """The objects and lists in ``value``: (title, object or list), the outer ones first."""
    if isinstance(value, Mapping):
        yield title, value
        for key, inner in value.items():
            if isinstance(inner, (Mapping, list, tuple)):
                yield from _parts(_joined(title, str(key)), inner)
    elif isinstance(value, (list, tuple)):
        if all(isinstance(each, Mapping) for each in value) and any(_nested(each) for each in value):
            for each in value:
                yield from _parts(_joined(title, _name(each)), each)
        else:
            yield title, value


def _nested(each: Mapping[str, Any]) -> bool:
    return any(isinstance(inner, (Mapping, list, tuple)) for inner in each.values())


def _name(each: Mapping[str, Any]) -> str:
    """What an entry of a list is about."""
    for key in ("name", "iface", "namespace", "container", "unit", "address", "port"):
        if each.get(key) is not None:
            return str(each[key])
    return ""


def _joined(title: str, key: str) -> str:
    return " · ".join(part for part in (title, key.replace("_", " ")) if part)


def _table(title: str, value: object) -> Table | None:
    """The plain values of an object, or the entries of a list, as a table."""
    rows: Sequence[Mapping[str, Any]]
    if isinstance(value, Mapping):
        rows = [{key: each for key, each in value.items() if not isinstance(each, (Mapping, list, tuple))}]
    elif isinstance(value, (list, tuple)):
        rows = [each if isinstance(each, Mapping) else {"value": each} for each in value]
    else:
        return None
    columns = [key for key in dict.fromkeys(key for row in rows for key in row) if key != "age_s"]
    columns = [key for key in columns if any(row.get(key) is not None for row in rows)][:_MAX_COLUMNS]
    if not columns:
        return None
    texts = tuple(tuple(_cell(key, row.get(key)) for key in columns) for row in rows[:_MAX_ROWS])
    return Table(
        _cut(title), tuple(_cut(key.replace("_", " ")) for key in columns), texts, len(rows) - len(texts)
    )


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
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value) if abs(value) < 10_000 else f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.0f}"
    return _cut(str(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_TEXT else f"{text[: _MAX_TEXT - 1]}…"
