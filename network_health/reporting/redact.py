"""Masks what the setting ``redact`` names in a report. Pure.

Guarantees: "addresses" masks every IPv4 and IPv6 address and network in any text of the report, whatever is
next to it; "users" masks every value with the key ``user``. What may be an address is masked as well, as the
version 1.2.3.4; ``Foo::Bar`` is a name. Nothing else changes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from network_health.reporting.report import Report

ADDRESS, USER = "<address>", "<user>"

_V4 = r"[0-9]+(?:\.[0-9]+){3,}"
_HEX = "[0-9A-Fa-f]+"
#: All groups, or ``::`` between groups. More groups or digits than an address can have are masked together
#: with the address that they contain.
_V6 = rf"(?:{_HEX}:){{6,}}(?:{_V4}|{_HEX}:{_HEX})|(?:(?:{_HEX}:)+|:):+(?:(?:{_HEX}:)*(?:{_V4}|{_HEX}))?"
_ADDRESS = re.compile(rf"(?:{_V6}|{_V4})(?:/[0-9]+)?")


def redacted(report: Report, what: Collection[str]) -> Report:
    """The report with everything masked that ``what`` names: "addresses", "users"."""
    if not what:
        return report
    return replace(
        report,
        details=_masked(report.details, what),
        metrics=_masked(report.metrics, what),
        changes=tuple(_masked(change, what) for change in report.changes),
    )


def _masked(value: Any, what: Collection[str]) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, str) and "addresses" in what:
        return _ADDRESS.sub(_mask_if_address, value)
    if isinstance(value, Mapping):
        return {
            key: USER if key == "user" and inner and "users" in what else _masked(inner, what)
            for key, inner in value.items()
        }
    return [_masked(inner, what) for inner in value] if isinstance(value, (list, tuple)) else value


def _mask_if_address(match: re.Match[str]) -> str:
    text = match[0].partition("/")[0]
    is_address = not _is_name(text, match) if ":" in text else _has_ipv4(text)
    return ADDRESS if is_address else match[0]


def _has_ipv4(text: str) -> bool:
    """Whether four of the numbers in a row can be an address."""
    numbers = [number.lstrip("0") for number in text.split(".")]
    fits = [len(number) <= 3 and int(number or 0) <= 255 for number in numbers]
    return any(all(fits[at : at + 4]) for at in range(len(fits) - 3))


def _is_name(text: str, match: re.Match[str]) -> bool:
    """Whether it is a part of words that are joined by ``::``, as in Foo::Bar."""
    if "." in text or ":::" in text or re.search("[^:]:[^:]", text):
        return False
    before = re.search(r"\w\Z", match.string[: match.start()]) is not None
    after = re.match(r"\w", match.string[match.end() :]) is not None
    if (text.startswith("::") and before) or (text.endswith("::") and after):
        return True
    return (before or after) and not any(map(str.isdigit, text))
