"""What the setting ``redact`` keeps out of a report. Pure.

Laws: "addresses" masks every IPv4 and IPv6 address and network, wherever a text of the report has one;
"users" masks every value under a key ``user``. Nothing else is changed, and nothing is left of them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from network_health.reporting.report import Report

ADDRESS, USER = "<address>", "<user>"

#: What may be an address; whether it is one, `ipaddress` says.
_V4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d+)?(?![\w.])")
_V6 = re.compile(
    r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?::\d+(?:\.\d+){3})?(?:/\d+)?(?![\w:])"
)


def redacted(report: Report, what: Collection[str]) -> Report:
    """The report without what is to be kept out."""
    if not what:
        return report
    return replace(
        report,
        details=_masked(report.details, what),
        metrics=_masked(report.metrics, what),
        changes=tuple(_masked(change, what) for change in report.changes),
    )


def _masked(value: Any, what: Collection[str]) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(value, str) and "addresses" in what:
        return _V4.sub(_mask, _V6.sub(_mask, value))
    if isinstance(value, Mapping):
        return {
            key: USER if key == "user" and inner and "users" in what else _masked(inner, what)
            for key, inner in value.items()
        }
    return [_masked(inner, what) for inner in value] if isinstance(value, (list, tuple)) else value


def _mask(found: re.Match[str]) -> str:
    try:
        ipaddress.ip_address(found[0].partition("/")[0])
    except ValueError:
        return found[0]
    return ADDRESS
