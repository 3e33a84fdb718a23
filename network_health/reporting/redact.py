"""Masks what the setting ``redact`` names in a report. Pure.

Guarantees: "addresses" masks every IPv4 and IPv6 address and network in any text of the report; "users" masks
every value with the key ``user``. Nothing else changes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from network_health.reporting.report import Report

ADDRESS, USER = "<address>", "<user>"

#: Candidates for an address; `ipaddress` decides.
_V4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?:/\d+)?(?![\w.])")
_V6 = re.compile(
    r"(?<![\w:])[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?::\d+(?:\.\d+){3})?(?:/\d+)?(?![\w:])"
)


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
        return _V4.sub(_mask_if_address, _V6.sub(_mask_if_address, value))
    if isinstance(value, Mapping):
        return {
            key: USER if key == "user" and inner and "users" in what else _masked(inner, what)
            for key, inner in value.items()
        }
    return [_masked(inner, what) for inner in value] if isinstance(value, (list, tuple)) else value


def _mask_if_address(match: re.Match[str]) -> str:
    try:
        ipaddress.ip_address(match[0].partition("/")[0])
    except ValueError:
        return match[0]
    return ADDRESS
