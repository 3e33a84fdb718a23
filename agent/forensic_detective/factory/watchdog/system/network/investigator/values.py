"""Reads values of unchecked reports; no value, whatever its type, raises an error."""

from __future__ import annotations

import math
from typing import Any

MAX_ITEMS = 5


def severity(entry: dict[str, Any]) -> str:
    """The severity in capitals; ``INFO`` if there is none."""
    return clean(entry.get("severity"), 20).upper() or "INFO"


def metrics_of(report: dict[str, Any]) -> dict[str, Any]:
    """The metrics of a report; empty if it has none."""
    return as_dict(report.get("metrics"))


def as_dict(value: object) -> dict[str, Any]:
    """The value if it is a dict, else an empty dict."""
    return value if isinstance(value, dict) else {}


def as_list(value: object) -> list[Any]:
    """The value if it is a list, else an empty list."""
    return value if isinstance(value, list) else []


def number(value: object) -> float | None:
    """A finite number; ``None`` for everything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) < 1e18 and math.isfinite(value) else None


def as_text(value: object, depth: int = 4) -> str:
    """Any JSON value as short text: ``port 8080, share 81.25``; ``?`` for an unknown number."""
    if isinstance(value, dict | list) and depth == 0:
        return "…"
    if isinstance(value, dict):
        parts = list(value.items())[: 2 * MAX_ITEMS]
        return ", ".join(f"{clean(key, 40)} {as_text(part, depth - 1)}" for key, part in parts)
    if isinstance(value, list):
        return ", ".join(as_text(part, depth - 1) for part in value[:MAX_ITEMS])
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return clean(value, 150)
    known = number(value)
    return "?" if known is None else f"{known:.0f}" if known == round(known) else f"{known:.2f}"


def clean(value: object, longest: int) -> str:
    """One line of at most ``longest`` characters, without control characters."""
    if not isinstance(value, str):
        return ""
    shown = "".join(c if c.isprintable() else " " for c in value[: 10 * longest])
    line = " ".join(shown.split())
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def agent(report: dict[str, Any]) -> str:
    """The agent that sent the report: the first part of the report's id; empty if it has none."""
    return clean(metrics_of(report).get("report_id"), 200).rpartition("-")[0].rpartition("-")[0]


def interface(report: dict[str, Any], name: str) -> dict[str, Any]:
    """The metrics of one interface; empty if the report has none."""
    entries = (as_dict(entry) for entry in as_list(metrics_of(report).get("interfaces")))
    return next((entry for entry in entries if clean(entry.get("iface"), 40) == name), {})


def states_of(report: dict[str, Any]) -> list[tuple[float, str]]:
    """(count, state) of the connections, highest count first."""
    counted = as_dict(metrics_of(report).get("by_status")).items()
    numbers = [(number(count), clean(name, 20)) for name, count in counted]
    return sorted(((n, name) for n, name in numbers if n is not None and n > 0), reverse=True)


def ranked(key: str, entries: object) -> list[tuple[float, dict[str, Any]]]:
    """(value of ``key``, process) of a list of processes, highest value first."""
    rated = [(number(as_dict(entry).get(key)), as_dict(entry)) for entry in as_list(entries)]
    known = [(rate, entry) for rate, entry in rated if rate is not None and rate > 0]
    return sorted(known, key=lambda pair: -pair[0])


def process(entry: dict[str, Any]) -> str:
    """``rsync[4321]``; empty for an entry without a process."""
    pid = number(entry.get("pid"))
    return f"{clean(entry.get('name'), 40) or '?'}[{pid:.0f}]" if pid is not None else ""
