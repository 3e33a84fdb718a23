"""Defines and reads ``--since`` and ``--until``: durations back from now, dates and times.

Guarantees: whatever is written there, the result is a range that is not empty, or one `SwarmError`.
"""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from datetime import datetime

from network_health.cli.flags import invalid_value
from network_health.cli.parser import Parser
from network_health.swarm import SwarmError

ALLOWED = "a duration such as 90m, 24h, 7d or 2w, or a date or time such as 2026-11-25 or 2026-11-25T03:00"
_DURATION = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)([smhdw])", re.ASCII)
_UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
#: A duration may be longer than any history, but not reach back to before 1970.
_FIRST_YEAR, _LAST_YEAR = 1970, 9998


@dataclass(frozen=True, slots=True)
class TimeRange:
    """From ``since`` to ``until``, epoch seconds."""

    since: float
    until: float


def add_range(parser: Parser, since: str | None = "24h") -> None:
    """Add ``--since``, which is ``since`` or all that is kept if it is not given, and ``--until``."""
    default = since or "all that is kept"
    parser.add_argument(
        "--since",
        metavar="TIME",
        default=since,
        help=f"from when on: {ALLOWED}, in this host's time zone unless one is written; default: {default}",
    )
    parser.add_argument("--until", metavar="TIME", help="until when, in the same form; default: now")


def read_range(options: argparse.Namespace, now: float) -> TimeRange:
    """The range that is meant at ``now`` (epoch seconds).

    Raises:
        SwarmError: a value is no time, the range is empty or reversed, or it is in the future.
    """
    since = 0.0 if options.since is None else _parsed("--since", options.since, now)
    until = now if options.until is None else _parsed("--until", options.until, now)
    if since > now:
        raise SwarmError(f"--since {options.since} is in the future, where no history is")
    if since >= until:
        end = "now" if options.until is None else f"--until {options.until}"
        raise SwarmError(f"the range is empty: --since {options.since} is not before {end}")
    return TimeRange(since, until)


def _parsed(flag: str, text: str, now: float) -> float:
    found = parse_time(text, now)
    if found is None:
        raise SwarmError(invalid_value(flag, [text], ALLOWED))
    return found


def parse_time(text: str, now: float) -> float | None:
    """The time that ``text`` means at ``now`` (both epoch seconds); ``None`` if it means none.

    A time that exists twice, when clocks are set back, is the first of the two.
    """
    duration = _DURATION.fullmatch(text.strip())
    if duration:
        return max(now - float(duration[1]) * _UNIT_S[duration[2]], 0.0)
    if not re.match(r"\d{4}-\d\d-\d\d", text.strip(), re.ASCII):  # newer versions of Python accept more forms
        return None
    try:  # Python 3.10 does not know "Z"
        found = datetime.fromisoformat(re.sub(r"[zZ]$", "+00:00", text.strip()))
        if not _FIRST_YEAR <= found.year <= _LAST_YEAR:
            return None
        return max(found.timestamp(), 0.0)
    except (ValueError, OverflowError, OSError):
        return None
