"""The live view's screen, of reports that were made up: whatever they say and however small it is."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network_health import Settings
from network_health.cli.watch.alerts import age
from network_health.cli.watch.layout import Block, heights
from network_health.cli.watch.screen import Screen
from network_health.cli.watch.state import State
from network_health.cli.watch.theme import Theme
from tests.cli.contents import alert, content, link, mover, partial_contents, process, sight

BUSY = content(
    "High connection count: 12 > 10 (80% on :8080 owned by nginx[7])",
    alerts=[alert(since=999_930.0)],
    culprits={
        "connections": {
            "owners": [{"pid": 7, "name": "nginx", "percent": 80.0}, {"pid": 9, "name": "app", "percent": 5}]
        }
    },
    interfaces=[link("lo"), link("eth0", out=250.5, into=3), link("eth1", up=False)],
    total_connections=12,
    by_status={"ESTABLISHED": 9, "NONE": 3},
    top_procs=[process(7, "nginx", 80.5, 120), process(9, "[red]app", 2, 9)],
    top_memory=[process(8, "java", 1, 4000.25)],
    top_network=[mover(7, "nginx", 200.25, 2), mover(None, "unattributed", 50)],
)


def state(*contents, keys="", seconds=2):
    """The view after these contents, a check each, and then keys."""
    found = State.of(seconds)
    for i, each in enumerate(contents):
        found = found.after(sight(each, (f"change {i}",), 100.0 + i * seconds, seconds))
    for key in keys:
        found = found.pressed(key)
    return found


def shown(*contents, width=80, height=24, keys="", look=None, has_keys=True, **limits):
    """The screen as text."""
    limits = {"process_network": "always", "conn_threshold": 10} | limits
    screen = Screen("web-7", Settings(**limits), look or Theme(), has_keys=has_keys)
    return "\n".join(line.plain for line in screen.lines(state(*contents, keys=keys), width, height))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(partial_contents(), max_size=4),
    st.integers(1, 300),
    st.integers(1, 100),
    st.text("cmnip?", max_size=4),
    st.sampled_from([Theme(), Theme("ascii"), Theme("latin-1", has_blocks=False)]),
    st.none() | st.floats(3, 1e6),
)
def test_any_reports_on_any_screen(contents, width, height, keys, look, late_s):
    """As many lines as there are, none too wide, nothing that a terminal would obey or could not encode."""
    screen = Screen("h\x1b[st", Settings(), look)
    before = state(*contents, keys=keys)
    lines = screen.lines(
        State(**{n: getattr(before, n) for n in before.__slots__} | {"late_s": late_s}), width, height
    )
    assert len(lines) == height
    assert all(line.cell_len <= width for line in lines)
    text = "".join(line.plain for line in lines)
    assert text.isprintable()
    text.encode(look.encoding)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=8), st.integers(0, 100))
def test_any_heights(needs, height):
    """No more than there is, none more than it wants, and the first in rank is served first."""
    blocks = {
        str(i): Block(min(least, wanted), wanted, lambda n: []) for i, (least, wanted) in enumerate(needs)
    }
    given_lines = heights(blocks, height)
    assert sum(given_lines.values()) <= height
    for name, block in blocks.items():
        assert given_lines[name] <= block.wanted
        assert given_lines[name] >= block.least or given_lines[name] == 0
    if blocks and blocks["0"].least <= height:
        assert given_lines["0"] >= blocks["0"].least


def test_everything_at_80x24():
    """What stands, who it is, rates against limits, connections by state, processes, keys."""
    text = shown(BUSY)
    assert text.startswith(" WARNING   1 alert  web-7  ")
    assert "!   70s High connection count: 12 > 10 (80% on :8080 owned by nginx[7])\n" in text
    assert "        owners nginx[7] 80%, app[9] 5%\n" in text
    assert re.search(r"^eth0 +250\.50! +█ +3\.00 +▂", text, re.MULTILINE)
    assert re.search(r"^eth1 +down ", text, re.MULTILINE)
    assert re.search(r"^Connections +12! +█  of 10, last 4 min\n  ESTABLISHED 9   UDP 3$", text, re.MULTILINE)
    assert re.search(r"^Processes by CPU .*\nnginx +7  root +80\.5 +120\.0\n\[red\]app ", text, re.MULTILINE)
    assert re.search(
        r"^Processes by network .*\nnginx +7 .* 200\.25 +2\.00\nunattributed ", text, re.MULTILINE
    )
    assert text.endswith("\nq quit   processes: c cpu  m memory  n network   interfaces: i by name   p pause")


def test_the_order_of_processes():
    """By memory it is another list than by CPU; by network comes first when asked for."""
    by_memory = shown(BUSY, keys="m")
    assert by_memory.index("Processes by memory") < by_memory.index("java") < by_memory.index("by network")
    by_network = shown(BUSY, keys="n")
    assert by_network.index("Processes by network") < by_network.index("Processes by CPU")


def test_the_order_of_interfaces():
    """Those over a limit, then the busiest of the last minutes, then those that are up; or by name."""
    quiet = content(interfaces=[link("c", up=False), link("b"), link("a", into=200), link("d", out=5)])
    peak = content(interfaces=[link("c", up=False), link("b"), link("a"), link("d", out=99)])

    def names(keys):
        return [
            line[0] for line in shown(peak, quiet, keys=keys).splitlines() if re.match(r"[a-d] +[\dd]", line)
        ]

    assert names("") == ["a", "d", "b", "c"]
    assert names("i") == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("width", "height"), [(10, 3), (80, 1), (20, 4), (1, 1)])
def test_the_alert_comes_first(width, height):
    """Where there is room for little, that is the alert and nothing else."""
    text = shown(BUSY, width=width, height=height)
    assert text.startswith("!")
    assert "High" in text or width == 1


def test_all_alerts_get_a_line_before_one_gets_two():
    """What is cut off says so; the first is told whole; the header has their number."""
    long = "eth{} outbound 412.7 Mbps > 250 Mbps (92% by rsync[4321] to 10.0.0.9:873, 5% by somebody-else[1])"
    many = content(
        "; ".join(long.format(i) for i in range(6)), alerts=[alert("tx_rate", f"eth{i}") for i in range(6)]
    )
    text = shown(many, height=12)
    assert "6 alerts" in text
    assert "somebody-else[1])" in text.splitlines()[2]
    assert len(re.findall(r"^!    0s eth[1-5] .*…$", text, re.MULTILINE)) == 5


def test_a_critical_alert_comes_before_warnings():
    """Whatever the order of the report."""
    text = shown(content("a; b", alerts=[alert("tx_rate", "a"), alert(severity="CRITICAL")]))
    assert text.startswith(" CRITICAL ")
    assert text.index("!!   0s b") < text.index("!    0s a")


def test_what_failed_is_told():
    """A check that failed stands with the alerts, and its part of the screen is missing."""
    failed = content(
        "Check of connections failed: no", failures=[{"collector": "connections", "reason": "no"}]
    )
    text = shown(failed)
    assert "!       Check of connections failed: no\n" in text
    assert "Connections" not in text


def test_many_interfaces():
    """Those that there is no room for are counted."""
    text = shown(content(interfaces=[link(f"veth{i:03}") for i in range(500)]), height=20)
    listed = re.findall(r"^veth", text, re.MULTILINE)
    assert re.findall(r"^  (\d+) more$", text, re.MULTILINE) == [str(500 - len(listed))]
    assert len(listed) >= 5


def test_what_happened_lately():
    """A line of it at the least, the newest; all that there is room for."""
    assert "change 1" in shown(BUSY, BUSY)
    assert re.search(r"change 1\n.* change 0\n", shown(BUSY, BUSY, height=40))


def test_a_terminal_that_lacks_signs():
    """In its encoding, and with ASCII for blocks."""
    wide = content(interfaces=[link("数据", out=50)], top_procs=[process(name="čau")])
    text = shown(wide, look=Theme("ascii"))
    assert text.isascii()
    assert re.search(r"^\?\? .* 50\.00 += ", text, re.MULTILINE)


def test_before_the_first_report_and_without_keys():
    """It says that it has begun, and that it cannot be told anything."""
    assert shown().startswith(" STARTING   web-7  the first rates take a second")
    assert shown(has_keys=False).endswith("\nno keys: the input is not a terminal; Ctrl-C quits")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"process_network": "always"}, "no bytes over TCP were seen"),
        ({"process_network": "auto"}, "told on a breach only: process_network is auto"),
        ({"process_network": "off"}, "off: process_network"),
    ],
)
def test_why_no_process_is_listed_by_network(limits, reason):
    """An empty list says why."""
    assert f"  {reason}\n" in shown(content(top_procs=[process()]), **limits)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0.9, "0s"),
        (99, "99s"),
        (100, "1m"),
        (5999, "99m"),
        (6000, "1h40"),
        (359_999, "99h59"),
        (360_000, "4d"),
    ],
)
def test_ages(seconds, text):
    """Short enough for a column."""
    assert age(seconds) == text


def test_slow_checks_are_further_apart():
    """The head says how far, and why."""
    slow = content()
    screen = Screen("web-7", Settings(), Theme())
    state_then = State.of(2).after(sight(slow, pace_s=5.25, took_s=1.3125))
    assert screen.lines(state_then, 80, 24)[0].plain.endswith("  every 5 s, as a check takes 1.3 s")
    assert shown(slow).splitlines()[0].endswith("  every 2 s")
