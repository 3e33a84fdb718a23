"""``--since`` and ``--until``: durations, dates, time zones, and what is no time."""

import argparse
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.cli.parser import Parser
from network_health.cli.time_range import TimeRange, add_range, parse_time, read_range
from network_health.swarm import SwarmError

#: 2026-11-25 12:00 UTC.
NOW = 1_795_608_000.0


pytestmark = pytest.mark.usefixtures("central_europe")


def read(*words):
    """What the words mean as a range."""
    parser = Parser()
    add_range(parser)
    return read_range(parser.parse_args(words), NOW)


@pytest.mark.parametrize(
    ("text", "seconds_ago"),
    [("90m", 5400), ("24h", 86400), ("7d", 604800), ("2w", 1209600), ("1.5h", 5400), ("30s", 30)],
)
def test_durations(text, seconds_ago):
    """A number and a unit, back from now."""
    assert parse_time(text, NOW) == NOW - seconds_ago


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-25", "2026-11-24T23:00"),
        ("2026-11-25T03:00", "2026-11-25T02:00"),
        ("2026-11-25 03:00:30", "2026-11-25T02:00:30"),
        ("2026-11-25T03:00Z", "2026-11-25T03:00"),
        ("2026-11-25T03:00:00-05:00", "2026-11-25T08:00"),
        ("2026-07-01T03:00", "2026-07-01T01:00"),
        ("2026-10-25T02:30", "2026-10-25T00:30"),
        ("2026-10-25T02:30+01:00", "2026-10-25T01:30"),
    ],
)
def test_dates(text, utc):
    """Dates and times in the host's zone, unless one is written; of two equal ones the first."""
    assert parse_time(text, NOW) == datetime.fromisoformat(utc).replace(tzinfo=timezone.utc).timestamp()


@pytest.mark.parametrize(
    "text", ["", "24", "h", "-1h", "1y", "nan", "1e9h", "2026-13-01", "2026-02-30", "20261125", "yesterday"]
)
def test_garbage_is_one_sentence(text):
    """It says what was written and what is allowed."""
    assert parse_time(text, NOW) is None
    with pytest.raises(SwarmError, match=r"^--until: .* is not allowed; give a duration such as 90m"):
        read(f"--until={text}")


@given(st.text() | st.from_regex(r"\d{4}-\d\d-\d\d[T ]?\d*:?\d*.*", fullmatch=True))
def test_any_text_is_a_time_or_none(text):
    """No text raises, and every time is finite."""
    found = parse_time(text, NOW)
    assert found is None or 0 <= found < 1e12


def test_ranges():
    """The default is the last day; both ends in any form."""
    assert read() == TimeRange(NOW - 86400, NOW)
    assert read("--since", "7d", "--until", "6d") == TimeRange(NOW - 7 * 86400, NOW - 6 * 86400)
    assert read("--since", "9999999w").since == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--since", "1h", "--until", "2h"), "the range is empty: --since 1h is not before --until 2h"),
        (("--since", "1h", "--until", "1h"), "the range is empty: --since 1h is not before --until 1h"),
        (("--since", "2027-01-01"), "--since 2027-01-01 is in the future, where no history is"),
        (("--since", "0h"), "the range is empty: --since 0h is not before now"),
    ],
)
def test_empty_ranges_are_one_sentence(words, says):
    """A range that is reversed, empty or in the future."""
    with pytest.raises(SwarmError) as error:
        read(*words)
    assert str(error.value) == says


def test_other_defaults():
    """A command may have another default."""
    parser = Parser()
    add_range(parser, "30d")
    assert parser.parse_args([]) == argparse.Namespace(since="30d", until=None)
