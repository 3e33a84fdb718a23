"""The screen of the live view, for any report and any size."""

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
from tests.cli.watch.contents import alert, content, link, partial_contents, process, result, traffic
from tests.examples import examples

BUSY = content(
    "High connection count: 12 > 10 (80% on :8080 owned by nginx[7])",
    alerts=[alert(lasted_s=70.0)],
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
    top_network=[traffic(7, "nginx", 200.25, 2), traffic(None, "unattributed", 50)],
)


def state(*contents, keys="", seconds=2):
    """The view after a check with each of these contents, and then keys."""
    reached = State.initial(seconds)
    for i, each in enumerate(contents):
        reached = reached.after_check(result(each, (f"change {i}",), 100.0 + i * seconds, seconds))
    for key in keys:
        reached = reached.after_key(key)
    return reached


def shown(*contents, width=80, height=24, keys="", theme=None, has_keys=True, **limits):
    """The screen as text."""
    limits = {"process_network": "always", "conn_threshold": 10} | limits
    screen = Screen("web-7", Settings(**limits), theme or Theme(), has_keys=has_keys)
    return "\n".join(line.plain for line in screen.lines(state(*contents, keys=keys), width, height))


@settings(max_examples=examples(100), deadline=None)
@given(
    st.lists(partial_contents(), max_size=4),
    st.integers(1, 300),
    st.integers(1, 100),
    st.text("cmnip?", max_size=4),
    st.sampled_from([Theme(), Theme("ascii"), Theme("latin-1", has_blocks=False)]),
    st.none() | st.floats(3, 1e6),
)
def test_any_reports_on_any_screen(contents, width, height, keys, theme, late_s):
    """Exactly the lines of the screen, none too wide, without control characters, and encodable."""
    screen = Screen("h\x1b[st", Settings(), theme)
    before = state(*contents, keys=keys)
    lines = screen.lines(
        State(**{n: getattr(before, n) for n in before.__slots__} | {"late_s": late_s}), width, height
    )
    assert len(lines) == height
    assert all(line.cell_len <= width for line in lines)
    text = "".join(line.plain for line in lines)
    assert text.isprintable()
    text.encode(theme.encoding)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 40)), max_size=8), st.integers(0, 100))
def test_any_heights(needs, height):
    """Not more lines than the screen has or a block can use; the block of highest priority comes first."""
    blocks = {
        str(i): Block(min(least, wanted), wanted, lambda n: []) for i, (least, wanted) in enumerate(needs)
    }
    given_lines = heights(blocks, height)
    assert sum(given_lines.values()) <= height
    for name, block in blocks.items():
        assert given_lines[name] <= block.max_lines
        assert given_lines[name] >= block.min_lines or given_lines[name] == 0
    if blocks and blocks["0"].min_lines <= height:
        assert given_lines["0"] >= blocks["0"].min_lines


def test_everything_at_80x24():
    """The alert with its culprit, rates against limits, connections by state, processes, keys."""
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
    """By memory is another list than by CPU; by network comes first if that order is selected."""
    by_memory = shown(BUSY, keys="m")
    assert by_memory.index("Processes by memory") < by_memory.index("java") < by_memory.index("by network")
    by_network = shown(BUSY, keys="n")
    assert by_network.index("Processes by network") < by_network.index("Processes by CPU")


def test_the_order_of_interfaces():
    """Those over a limit first, then the busiest of the last minutes, then those that are up; or by name."""
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
    """On a very small screen the alert is all that is shown."""
    text = shown(BUSY, width=width, height=height)
    assert text.startswith("!")
    assert "High" in text or width == 1


def test_all_alerts_get_a_line_before_one_gets_two():
    """A cropped alert ends with an ellipsis; the first is complete; the head has their number."""
    long = "eth{} outbound 412.7 Mbps > 250 Mbps (92% by rsync[4321] to 10.0.0.9:873, 5% by other-process[1])"
    many = content(
        "; ".join(long.format(i) for i in range(6)), alerts=[alert("tx_rate", f"eth{i}") for i in range(6)]
    )
    text = shown(many, height=12)
    assert "6 alerts" in text
    assert "other-process[1])" in text.splitlines()[2]
    assert len(re.findall(r"^!    0s eth[1-5] .*…$", text, re.MULTILINE)) == 5


def test_many_links_share_a_line():
    """Their sentence has the age of the first one; the other alerts have a line each."""
    down = [alert("link", f"veth{n}", lasted_s=9.0) for n in range(60)]
    sentences = (
        "eth1 is down; 60 veth links are down: veth0, veth1, veth2 (57 more); veth5 outbound 9 Mbps > 1 Mbps"
    )
    alerts = [*down[:30], alert("link", "eth1"), *down[30:], alert("tx_rate", "veth5", lasted_s=3.0)]
    alerts.sort(key=lambda each: each["subject"] != "eth1")
    text = shown(content(sentences, alerts=alerts), width=100)
    assert re.findall(r"^!.*\S", text, re.MULTILINE) == [
        "!    0s eth1 is down",
        "!    9s 60 veth links are down: veth0, veth1, veth2 (57 more)",
        "!    3s veth5 outbound 9 Mbps > 1 Mbps",
    ]


def test_a_critical_alert_comes_before_warnings():
    """The order of the report does not matter."""
    text = shown(content("a; b", alerts=[alert("tx_rate", "a"), alert(severity="CRITICAL")]))
    assert text.startswith(" CRITICAL ")
    assert text.index("!!   0s b") < text.index("!    0s a")


def test_a_failed_check_is_shown():
    """A failed collector is listed with the alerts, and its table is missing."""
    failed = content(
        "Check of connections failed: no", failures=[{"collector": "connections", "reason": "no"}]
    )
    text = shown(failed)
    assert "!       Check of connections failed: no\n" in text
    assert "Connections" not in text


def test_many_interfaces():
    """Those that do not fit are counted."""
    text = shown(content(interfaces=[link(f"veth{i:03}") for i in range(500)]), height=20)
    listed = re.findall(r"^veth", text, re.MULTILINE)
    assert re.findall(r"^  (\d+) more$", text, re.MULTILINE) == [str(500 - len(listed))]
    assert len(listed) >= 5


def test_the_last_changes():
    """At least one line, the newest change first."""
    assert "change 1" in shown(BUSY, BUSY)
    assert re.search(r"change 1\n.* change 0\n", shown(BUSY, BUSY, height=40))


def test_a_wide_screen():
    """The two tables of processes are side by side, without a gap of blanks between their columns."""
    text = shown(BUSY, width=200, height=30)
    assert re.search(r"^Processes by CPU  .*sockets {2,40}Processes by network  ", text, re.MULTILINE)
    assert re.search(r"^nginx .* 80\.5 +120\.0 {2,80}nginx .* 200\.25 ", text, re.MULTILINE)
    assert max(map(len, re.findall(r"(?<=\S) +(?=\S)", text))) < 80
    assert text.count("Processes by") == 2
    narrow = shown(BUSY, width=159, height=30)
    assert re.search(r"^Processes by CPU +pid  user ", narrow, re.MULTILINE)
    assert narrow.index("\nProcesses by CPU") < narrow.index("\nProcesses by network")


def test_processes_of_one_name_have_their_scripts_and_units():
    """By the script, or if there is none by the unit; a name of its own has no unit."""
    rows = [
        process(1, "python3", script="worker.py", unit="a.service"),
        process(2, "python3", script="-m http.server"),
        process(3, "postgres", script=None, unit="postgresql@14-main.service"),
        process(4, "postgres", script=None, unit="postgresql@15-main.service"),
        process(5, "nginx", script=None, unit="nginx.service"),
        process(6, "tool", script="tool"),
        process(7, "matrixswarm-boo", script="matrixswarm-boot"),
        process(8, "java"),
    ]
    text = shown(content(top_procs=rows), height=40, width=110)
    names = re.findall(r"^(\S.*?) +\d  root", text, re.MULTILINE)
    assert names == [
        "python3 worker.py",
        "python3 -m http.server",
        "postgres postgresql@14-main.service",
        "postgres postgresql@15-main.service",
        "nginx",
        "tool",
        "matrixswarm-boot",
        "java",
    ]
    narrow = shown(content(top_procs=rows), height=40, width=60)
    assert re.search(r"^postgres p\S*… +3 ", narrow, re.MULTILINE)


def test_a_long_line_of_the_log_is_cut():
    """It ends with an ellipsis at the edge of the screen."""
    reached = State.initial(2).after_check(result(content(), ("eth0 " + "x" * 300,)))
    lines = [line.plain for line in Screen("h", Settings(), Theme()).lines(reached, 80, 24)]
    (change,) = [line for line in lines if " eth0 x" in line]
    assert len(change) == 80
    assert change.endswith("xx…")


def test_a_terminal_without_unicode():
    """Text is in the encoding of the terminal, and sparklines are ASCII."""
    wide = content(interfaces=[link("数据", out=50)], top_procs=[process(name="čau")])
    text = shown(wide, theme=Theme("ascii"))
    assert text.isascii()
    assert re.search(r"^\?\? .* 50\.00 += ", text, re.MULTILINE)


def test_before_the_first_report_and_without_keys():
    """The head says that the view is starting, the foot that there are no keys."""
    assert shown().startswith(" STARTING   web-7  the first rates take a second")
    assert shown(has_keys=False).endswith("\nno keys: the input is not a terminal; Ctrl-C quits")


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        ({"process_network": "always"}, "no bytes over TCP were seen"),
        ({"process_network": "auto"}, "counted on a breach only: process_network is auto"),
        ({"process_network": "off"}, "off: process_network"),
    ],
)
def test_an_empty_list_by_network_says_why(limits, reason):
    """The reason is a setting, or that no bytes were counted."""
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
    """An age has at most five characters."""
    assert age(seconds) == text


def test_slow_checks_are_further_apart():
    """The head shows the interval and the reason."""
    slow = content()
    screen = Screen("web-7", Settings(), Theme())
    state_then = State.initial(2).after_check(result(slow, interval_s=5.25, duration_s=1.3125))
    assert screen.lines(state_then, 80, 24)[0].plain.endswith("  every 5 s, as a check takes 1.3 s")
    assert shown(slow).splitlines()[0].endswith("  every 2 s")
