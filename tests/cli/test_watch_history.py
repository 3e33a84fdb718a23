"""What the live view remembers, and how that becomes a sparkline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.cli.watch.history import (
    ASCII_LEVELS,
    BLOCK_LEVELS,
    SLOT_S,
    SLOTS,
    History,
    sparkline,
)
from network_health.cli.watch.state import State, keys_in
from tests.cli.contents import content, link, sight


def signs(values, limit, levels=BLOCK_LEVELS):
    """A sparkline as text; what is over the limit as ``X``."""
    return "".join("X" if mark.over else mark.sign for mark in sparkline(values, limit, levels))


@pytest.mark.parametrize(
    ("values", "limit", "shown"),
    [
        ([], 100, ""),
        ([None, 0, 0.0], 100, " ▁▁"),
        ([0.001, 14, 15, 50, 86, 99, 100], 100, "▂▂▃▅███"),
        ([100.01, 1e9], 100, "XX"),
        ([0, 0.01, None], 0, "▁X "),
        ([5], 1e12, "▂"),
    ],
)
def test_sparklines(values, limit, shown):
    """Unknown is blank, nothing is the lowest, the least is seen, the limit fills, more is marked."""
    assert signs(values, limit) == shown


def test_a_terminal_without_blocks():
    """The same heights in ASCII."""
    assert signs([None, 0, 1, 50, 100, 101], 100, ASCII_LEVELS) == " _.=#X"
    assert len(ASCII_LEVELS) == len(BLOCK_LEVELS) == len(set(ASCII_LEVELS))


@given(st.lists(st.none() | st.floats(0, 1e12)), st.floats(0, 1e12))
def test_any_sparkline(values, limit):
    """A cell for each value; what is higher never looks lower."""
    marks = sparkline(values, limit)
    assert len(marks) == len(values)
    known = sorted(
        (v, BLOCK_LEVELS.index(m.sign)) for v, m in zip(values, marks, strict=True) if v is not None
    )
    assert [level for _, level in known] == sorted(level for _, level in known)
    assert all(
        mark.over == (value is not None and value > limit) for value, mark in zip(values, marks, strict=True)
    )


def history(*reports, slot_s=SLOT_S):
    """The history after ``reports``: (seconds, links)."""
    found = History(slot_s)
    for at_s, links in reports:
        found = found.after(content(interfaces=links, total_connections=7)["metrics"], at_s)
    return found


def test_a_cell_has_the_peak_of_its_time():
    """Of several checks in ten seconds the highest counts, in each direction on its own."""
    seen = history((0, [link(out=1, into=9)]), (2, [link(out=3)]), (4, [link(out=2)]), (10, [link(out=0.5)]))
    assert seen.rates("eth0", "tx_rate_mbps", 3) == [None, 3.0, 0.5]
    assert seen.rates("eth0", "rx_rate_mbps", 2) == [9.0, 0.0]
    assert seen.sockets(3) == [None, 7, 7]


def test_what_was_not_seen_is_unknown():
    """A gap, an interface that comes later, one whose counters began anew: no cell of them says 0."""
    seen = history((0, [link()]), (30, [link(), link("eth1", reset=True)]), (40, [link("eth1", out=2)]))
    assert seen.rates("eth0", "tx_rate_mbps", 5) == [0.0, None, None, 0.0, None]
    assert seen.rates("eth1", "tx_rate_mbps", 2) == [None, 2.0]
    assert seen.rates("eth9", "tx_rate_mbps", 2) == [None, None]


def test_checks_far_apart():
    """A check a minute gives a cell a minute, also when one is a little early or late."""
    seen = State.of(60).seen
    for at_s in (100.0, 160.3, 219.8, 280.1):
        seen = seen.after(sight(content(interfaces=[link(out=at_s)]), at_s=at_s))
    assert seen.history.rates("eth0", "tx_rate_mbps", 5) == [None, 100.0, 160.3, 219.8, 280.1]


def test_what_is_kept_is_bounded():
    """However long it runs; the newest stays."""
    seen = history(*((10.0 * i, [link(out=i)]) for i in range(5 * SLOTS)))
    assert len(seen.slots) == SLOTS
    assert seen.rates("eth0", "tx_rate_mbps", 2) == [5 * SLOTS - 2, 5 * SLOTS - 1]
    assert seen.peaks() == {"eth0": 5 * SLOTS - 1}


def test_a_paused_view_stands_still():
    """What comes in meanwhile is shown when it goes on; the history has no gap."""
    state = State.of(2).after(sight(content(timestamp=1, interfaces=[link()]), ["one"])).pressed("p")
    state = state.after(sight(content(timestamp=2, interfaces=[link()]), ["two"], 10.0))
    assert state.shown.content["timestamp"] == 1
    state = state.pressed("p")
    assert state.shown.content["timestamp"] == 2
    assert state.shown.lately == ((2, "two"), (1, "one"))
    assert state.shown.history.rates("eth0", "tx_rate_mbps", 2) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("typed", "keys", "rest"),
    [
        ("cMn", "cmn", ""),
        ("\x1b[A\x1bOPq", "q", ""),
        ("\x1b[1;5Cc\x1b[15~", "c", ""),
        ("\x1bqc", "c", ""),
        ("c\x1b", "c", ""),
        ("c\x1b[1;", "c", "\x1b[1;"),
        ("\x1b[M", "", ""),
        ("\x1b[" + "0" * 40, "[" + "0" * 40, ""),
    ],
)
def test_keys(typed, keys, rest):
    """Letters are keys, arrows and function keys are not; half a sequence waits for its end."""
    found, left = keys_in(typed)
    assert ("".join(found), left) == (keys, rest)
