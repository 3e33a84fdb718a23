"""The state of the live view: pause and keys."""

import pytest

from network_health.cli.watch.state import State, parse_keys
from tests.cli.watch.contents import content, link, result


def test_a_paused_view_does_not_change():
    """A report that comes in is shown on resume, and the history has no gap."""
    state = State.initial(2).after_check(result(content(timestamp=1, interfaces=[link()]), ["one"]))
    state = state.after_key("p")
    state = state.after_check(result(content(timestamp=2, interfaces=[link()]), ["two"], 10.0))
    assert state.shown.content["timestamp"] == 1
    state = state.after_key("p")
    assert state.shown.content["timestamp"] == 2
    assert state.shown.changes == ((2, "two"), (1, "one"))
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
    """Letters are keys, arrows and function keys are not; an unfinished sequence is kept."""
    found, left = parse_keys(typed)
    assert ("".join(found), left) == (keys, rest)
