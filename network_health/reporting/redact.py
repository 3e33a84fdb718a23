"""Masks what the setting ``redact`` names in a report. Pure.

Guarantees: "addresses" masks every IPv4 and IPv6 address and network in any text of the report, whatever is
next to it; "users" masks every value with the key ``user``. What may be an address is masked as well, as the
version 1.2.3.4; ``Foo::Bar`` is a name. Nothing else changes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from network_health.model import Interface, Link
from network_health.reporting.report import Report

ADDRESS, USER = "<address>", "<user>"

_V4 = r"[0-9]+(?:\.[0-9]+){3,}"
_HEX = "[0-9A-Fa-f]+"
#: All groups, or ``::`` between groups. More groups or digits than an address can have are masked together
#: with the address that they contain.
_V6 = rf"(?:{_HEX}:){{6,}}(?:{_V4}|{_HEX}:{_HEX})|(?:(?:{_HEX}:)+|:):+(?:(?:{_HEX}:)*(?:{_V4}|{_HEX}))?"
_ADDRESS = re.compile(rf"(?:{_V6}|{_V4})(?:/[0-9]+)?")

#: The attributes of a report that are values of the model, or texts.
_TYPED = ("changes", "interfaces", "processes", "protocols", "namespaces", "alerts", "resolved", "failures")


def redacted(report: Report, what: Collection[str]) -> Report:
    """The report with everything masked that ``what`` names: "addresses", "users"."""
    if not what:
        return report
    metrics = masked(report.metrics, what)
    return replace(
        report,
        details=masked(report.details, what),
        metrics=metrics,
        culprits=metrics.get("culprits", {}),
        **{name: _typed(getattr(report, name), what) for name in _TYPED},
    )


def masked(value: Any, what: Collection[str]) -> Any:  # noqa: ANN401 - any JSON value
    """The same JSON value, masked as a report is."""
    if isinstance(value, str) and "addresses" in what:
        return _ADDRESS.sub(_mask_if_address, value)
    if isinstance(value, Mapping):
        return {
            key: USER if key == "user" and inner and "users" in what else masked(inner, what)
            for key, inner in value.items()
        }
    return [masked(inner, what) for inner in value] if isinstance(value, (list, tuple)) else value


def _typed(value: Any, what: Collection[str]) -> Any:  # noqa: ANN401 - any value of the model
    """The same value of the model with its texts masked."""
    if isinstance(value, Interface):
        return value._replace(link=_link(value.link)) if "addresses" in what else value
    if isinstance(value, tuple):
        parts = (_typed(inner, what) for inner in value)
        return value._make(parts) if hasattr(value, "_make") else tuple(parts)
    if is_dataclass(value) and not isinstance(value, type):
        inner = {each.name: getattr(value, each.name) for each in fields(value)}
        if "users" in what and inner.get("user"):
            inner["user"] = USER
        return replace(value, **{name: _typed(each, what) for name, each in inner.items()})
    return masked(value, what) if isinstance(value, str) else value


def _link(link: Link) -> Link:
    """A tunnel's addresses are packed; the other addresses are text."""
    name = _ADDRESS.sub(_mask_if_address, link.name)
    ipv4, ipv6 = (ADDRESS,) * len(link.ipv4), (ADDRESS,) * len(link.ipv6)
    return replace(link, name=name, ipv4=ipv4, ipv6=ipv6, tunnel=None)


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
