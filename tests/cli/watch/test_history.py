"""The history of the live view, and its sparklines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network_health.cli.watch.history import SLOT_S, SLOTS, History
from network_health.cli.watch.state import State
from network_health.reporting import ASCII_LEVELS, BLOCK_LEVELS, sparkline
from tests.cli.watch.contents import content, link, result


def drawn(values, limit, levels=BLOCK_LEVELS):
    """A sparkline as text; a value over the limit is ``X``."""
    return "".join("X" if cell.over else cell.char for cell in sparkline(values, limit, levels))


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
    """Unknown is blank, 0 the lowest level, the smallest value higher, the limit full, more is marked."""
    assert drawn(values, limit) == shown


def test_a_terminal_without_blocks():
    """The same levels in ASCII."""
    assert drawn([None, 0, 1, 50, 100, 101], 100, ASCII_LEVELS) == " _.=#X"
    assert len(ASCII_LEVELS) == len(BLOCK_LEVELS) == len(set(ASCII_LEVELS))


@given(st.lists(st.none() | st.floats(0, 1e12)), st.floats(0, 1e12))
def test_any_sparkline(values, limit):
    """A cell for each value; a higher value never has a lower level."""
    cells = sparkline(values, limit)
    assert len(cells) == len(values)
    known = sorted(
        (v, BLOCK_LEVELS.index(cell.char)) for v, cell in zip(values, cells, strict=True) if v is not None
    )
    assert [level for _, level in known] == sorted(level for _, level in known)
    assert all(
        cell.over == (value is not None and value > limit) for value, cell in zip(values, cells, strict=True)
    )


def history(*reports, slot_s=SLOT_S):
    """The history after ``reports``: (seconds, links)."""
    joined = History(slot_s)
    for at_s, links in reports:
        joined = joined.after(content(interfaces=links, total_connections=7)["metrics"], at_s)
    return joined


def test_a_cell_shows_the_peak_of_its_slot():
    """Of several checks in ten seconds the highest value counts, separately for each direction."""
    kept = history((0, [link(out=1, into=9)]), (2, [link(out=3)]), (4, [link(out=2)]), (10, [link(out=0.5)]))
    assert kept.rates("eth0", "tx", 3) == [None, 3.0, 0.5]
    assert kept.rates("eth0", "rx", 2) == [9.0, 0.0]
    assert kept.sockets(3) == [None, 7, 7]


def test_a_cell_shows_the_highest_second():
    """If the highest second of a check is known, it counts instead of the average."""
    peak = link(out=1, into=2) | {"tx_peak_mbps": 7.0, "rx_peak_mbps": None}
    kept = history((0, [peak]))
    assert (kept.rates("eth0", "tx", 1), kept.rates("eth0", "rx", 1)) == ([7.0], [2.0])
    assert kept.peaks() == {"eth0": 7.0}


def test_a_missing_value_is_unknown():
    """A gap between checks, a new interface, a counter reset: none of them is shown as 0."""
    kept = history((0, [link()]), (30, [link(), link("eth1", out=None, into=3)]), (40, [link("eth1", out=2)]))
    assert kept.rates("eth0", "tx", 5) == [0.0, None, None, 0.0, None]
    assert kept.rates("eth1", "tx", 2) == [None, 2.0]
    assert kept.rates("eth1", "rx", 2) == [3.0, 0.0]
    assert kept.peaks() == {"eth1": 3.0}
    assert kept.rates("eth9", "tx", 2) == [None, None]


def test_checks_far_apart():
    """A check each minute gives a cell each minute, also if one is a little early or late."""
    data = State.initial(60).data
    for at_s in (100.0, 160.3, 219.8, 280.1):
        data = data.after_check(result(content(interfaces=[link(out=at_s)]), started_s=at_s))
    assert data.history.rates("eth0", "tx", 5) == [None, 100.0, 160.3, 219.8, 280.1]


def test_the_history_is_bounded():
    """The number of slots is limited, and the newest are kept."""
    kept = history(*((10.0 * i, [link(out=i)]) for i in range(5 * SLOTS)))
    assert len(kept.slots) == SLOTS
    assert kept.rates("eth0", "tx", 2) == [5 * SLOTS - 2, 5 * SLOTS - 1]
    assert kept.peaks() == {"eth0": 5 * SLOTS - 1}
