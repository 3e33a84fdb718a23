"""The history as text: a golden page, and each thing that it has to say."""

import json
from dataclasses import replace

import pytest

from network_health.history import History, Store
from network_health.page import Style, as_plain, as_text, overview
from network_health.reporting import ASCII_LEVELS, BLOCK_LEVELS, Painter
from tests.checked_host import CheckedHost, nic

#: 2023-11-15 00:00 in the zone of the tests.
MIDNIGHT = 1_700_002_800.0
PLAIN = Style(80, Painter(on=False), BLOCK_LEVELS)


pytestmark = pytest.mark.usefixtures("central_europe")


class Recorded:
    """A host whose checks are recorded."""

    def __init__(self, path, at=MIDNIGHT, **config):
        self.path, self.host = path, CheckedHost(**config)
        self.host.epoch = at - self.host.now_s - 30
        self.store = Store(path, 64 * 10**6)

    @property
    def now(self):
        """The time of the last check."""
        return self.host.epoch + self.host.now_s

    def check(self, *interfaces, **more):
        self.store.add(self.host.check(*interfaces, **more), self.host.settings)

    def rates(self, *rates, **more):
        for rate in rates:
            self.check(nic(tx=rate, rx=rate / 2), **more)

    def overview(self, since=MIDNIGHT, until=None, now=None, interface=None):
        until = self.now + 1 if until is None else until
        now = until if now is None else now
        with History.open(self.path) as history:
            return overview(history, since, until, now, interface)

    def text(self, style=PLAIN, alerts_only=False, **asked):
        return as_text(self.overview(**asked), style, alerts_only=alerts_only)


@pytest.fixture
def recorded(tmp_path):
    """A host whose limit of outbound traffic is 100 Mbps."""
    return Recorded(tmp_path / "a.sqlite")


def test_a_night(tmp_path):
    """A range with a gap, an alert that is resolved and one that is active, as an operator sees it."""
    host = Recorded(tmp_path / "a.sqlite", conn_threshold=1000)
    host.rates(*[10, 50] * 10, connections=200)
    host.rates(*[130, 120] * 4, connections=200)
    host.rates(*[20] * 22, connections=900)
    host.rates(20, connections=500, after_s=1200)
    host.rates(*[20] * 20, connections=500)
    host.rates(*[60] * 9, connections=1500)
    assert (
        host.text()
        == """\
2023-11-15 00:00:00 to 2023-11-15 00:59:01  59 min 1 s
times in CET (UTC+01:00); kept since 2023-11-15 00:00:00, a check every 30 s
No checks for 19 min 30 s: 2023-11-15 00:25:00 to 2023-11-15 00:44:30

Interfaces  Mbps, the average of a check; a full bar is the limit, ! is above it
                                             average  95%  highest     at  limit
  eth0  out  ▅▅▅▅▅!!!▃▃▃▃▃         ▃▃▃▃▃▆▆▆     37.5  130      130  00:10    100
        in   ▃▃▃▃▃▆▆▆▂▂▂▂▂         ▂▂▂▂▂▄▄▄     18.8   65       65  00:10    100

Connections  in all and by state, the most first
                                            average   95%  highest     at  limit
  total          ▃▃▃▃▃██████       ▅▅▅▅▅!!    617.5  1500     1500  00:55   1000
  ESTABLISHED    ▃▃▃▃▃██████       ▅▅▅▅▅!!    617.5  1500     1500  00:55      -

Alerts  2, 1 of them active; the newest last
  2023-11-15 00:10:00  WARNING   resolved, 4 min
    eth0 outbound 130 Mbps > 100 Mbps
  2023-11-15 00:55:00  WARNING   active, 4 min
    High connection count: 1500 > 1000
"""
    )


def test_a_limit_counts_at_its_time(recorded):
    """What was above the limit of its time is marked, also if the limit was raised since."""
    recorded.rates(*[150] * 10)
    recorded.host.change(tx_threshold_mbps=200)
    recorded.rates(*[150] * 10)
    now = recorded.now
    (eth0,) = recorded.overview(until=now + 30).interfaces
    assert eth0.rates["tx"].shares == (1.5,) * 120 + (0.75,) * 120
    assert (eth0.rates["tx"].limit, eth0.rates["tx"].is_over) == (200, True)
    later = recorded.overview(since=now - 200, until=now + 30).interfaces[0].rates["tx"]
    assert (set(later.shares), later.is_over) == ({0.75, None}, False)


def test_a_limit_of_zero(tmp_path):
    """Every traffic is above it, none is not."""
    host = Recorded(tmp_path / "a.sqlite", tx_threshold_mbps=0, rx_threshold_mbps=0)
    host.check(nic(tx=0.01, rx=0))
    values = host.overview().interfaces[0].rates
    assert (values["tx"].is_over, values["rx"].is_over) == (True, False)


def test_peaks(tmp_path):
    """Where the highest second is compared with the limit, it is what is shown."""
    host = Recorded(tmp_path / "a.sqlite", rate_basis="peak")
    host.check(nic(tx=10, rx=1)._replace(tx_peak_mbps=400.0, rx_peak_mbps=2.0))
    (eth0,) = host.overview().interfaces
    assert (eth0.rates["tx"].highest, eth0.rates["rx"].highest) == (400.0, 2.0)
    assert "Mbps, the highest second of a check" in host.text()


def test_clocks_that_are_set_back_by_the_time_zone(tmp_path):
    """At the end of summer time each time has its zone, and nothing is counted twice."""
    begin = 1_698_537_600.0  # 2023-10-29 02:00 summer time
    host = Recorded(tmp_path / "a.sqlite", at=begin)
    host.rates(*[150] * 3, *[10] * 150)
    text = host.text(since=begin)
    assert text.startswith("2023-10-29 02:00:00 CEST to 2023-10-29 02:16:01 CET  1 h 16 min\n")
    assert "  2023-10-29 02:00:00 CEST  WARNING   resolved, 1 min 30 s\n" in text
    assert "No checks" not in text


def test_a_clock_that_was_set_back(recorded):
    """The range has the checks of both times, and the text says that it was."""
    recorded.rates(*[10] * 60)
    recorded.host.epoch -= 900
    recorded.rates(*[20] * 60)
    until = MIDNIGHT + 3600
    found = recorded.overview(until=until)
    assert found.set_back == ((MIDNIGHT + 59 * 30, MIDNIGHT + 30 * 30),)
    says = "The clock was set back from 2023-11-15 00:29:30 to 2023-11-15 00:15:00: this\ntime was twice.\n"
    assert says in recorded.text(until=until)
    assert found.interfaces[0].rates["tx"].average == pytest.approx(15, abs=1)


def test_an_agent_that_does_not_run(recorded):
    """The text says since when, and an alert is active only as of the last check."""
    recorded.rates(*[150] * 10)
    text = recorded.text(now=recorded.now + 7200, until=recorded.now + 7200)
    assert "The last check was at 2023-11-15 00:04:30, 2 h ago: the agent does not run, or" in text
    assert "WARNING   active at the last check, 4 min 30 s" in text


def test_no_checks(recorded):
    """An empty history, and a range before the first check."""
    assert recorded.text(until=MIDNIGHT + 60) == (
        "2023-11-15 00:00:00 to 2023-11-15 00:01:00  1 min\nThe history has no checks yet.\n\nAlerts  none\n"
    )
    recorded.rates(150)
    text = recorded.text(since=MIDNIGHT - 7200, until=MIDNIGHT - 3600, now=recorded.now)
    assert text.startswith("2023-11-14 22:00:00 to 2023-11-14 23:00:00  1 h\n")
    assert "Interfaces" not in text
    assert text.endswith("\n\nAlerts  none\n")


def test_what_is_active_often(recorded):
    """How often, and how long in all; only the newest alerts are listed, all with --alerts."""
    for _ in range(25):
        recorded.rates(150, 20)
    lines = recorded.text().split("\n")
    begin = lines.index("Alerts  25, 0 of them active; the newest last")
    assert lines[begin + 1 : begin + 4] == [
        "  more than once  times       in all  highest",
        "  tx rate eth0       25  12 min 30 s      150",
        "  5 earlier ones are shown by --alerts",
    ]
    assert recorded.text(alerts_only=True).count("WARNING   resolved") == 25


def test_one_interface(recorded):
    """Its rates and its alerts alone."""
    recorded.check(nic(tx=150), nic("eth1", tx=150), connections=2000)
    found = recorded.overview(interface="eth1")
    assert [values.name for values in found.interfaces] == ["eth1"]
    assert [(alert.check, alert.subject) for alert in found.alerts] == [("tx_rate", "eth1")]
    assert found.connections == {}


def test_many_interfaces(recorded):
    """Those nearest to their limits are shown, the others counted."""
    recorded.check(*(nic(f"veth{number}", tx=number + 1) for number in range(50)))
    text = recorded.text()
    assert "  and 30 more, further below their limits (--interface NAME)" in text
    assert "veth49" in text
    assert "veth29 " not in text


def test_idle_interfaces(recorded):
    """Those without traffic share a line; a single one has its own."""
    recorded.check(nic(tx=1), *(nic(f"ifb{number}") for number in range(12)))
    text = recorded.text()
    assert (
        "  without traffic: ifb0, ifb1, ifb10, ifb11, ifb2, ifb3, ifb4, ifb5, ifb6, ifb7\n  and 2 more\n"
        in text
    )
    assert "\n  ifb3  out " in recorded.text(interface="ifb3")


def test_new_errors_and_drops(recorded):
    """The most of a check, and when."""
    recorded.rates(10)
    recorded.check(nic(tx=10, drops=7, packets=1000))
    assert "  eth0: the most in a check: 7 new drops at 2023-11-15 00:00:30\n" in recorded.text()


@pytest.mark.parametrize("alerts_only", [False, True])
def test_hostile_names_do_no_harm(recorded, alerts_only):
    """No control character reaches the terminal, and no line is longer than it."""
    name = "\x1b]0;x\x07\u202e" + "x" * 500
    recorded.check(nic(name, tx=150), nic("\n\r", tx=150))
    text = recorded.text(alerts_only=alerts_only)
    assert all(char.isprintable() for char in text.replace("\n", ""))
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("days", [1, 3, 30])
@pytest.mark.parametrize("width", [40, 80, 133])
def test_lines_fit(recorded, width, days):
    """The tables fit any width from 80 columns on, with dates and without."""
    recorded.check(nic("enp0s31f6.4094x", tx=12345.6, rx=99999.9), connections=1_234_567)
    recorded.rates(1.5, connections=9)
    until = recorded.now + 1
    style = replace(PLAIN, width=width)
    text = recorded.text(style, since=until - days * 86400)
    longest = max(map(len, text.splitlines()))
    assert longest <= max(width, 80)


def test_colours_and_plain_characters(recorded):
    """Colours only if they are on; a terminal without block characters gets others."""
    recorded.rates(150, 20)
    assert "\x1b" not in recorded.text()
    assert "\x1b[33mWARNING" in recorded.text(replace(PLAIN, painter=Painter(on=True)))
    assert recorded.text(replace(PLAIN, levels=ASCII_LEVELS)).isascii()


def test_json(recorded):
    """The machine's form, as a whole."""
    recorded.rates(10, 150)
    plain = as_plain(recorded.overview())
    rates = {"average": 80, "p95": 150, "p95_is_exact": True, "highest": 150, "highest_at": MIDNIGHT + 30}
    nothing = {"average": 0, "p95": 0, "p95_is_exact": True, "highest": 0, "highest_at": MIDNIGHT}
    no_limit = {"limit": None, "was_over_limit": False}
    halves = {"average": 40, "p95": 75, "highest": 75, "was_over_limit": False}
    alert = {"check": "tx_rate", "subject": "eth0", "aspect": "", "begin": MIDNIGHT + 30, "end": None}
    alert |= {"end_reason": None, "severity": "WARNING", "value": 150, "highest": 150, "limit": 100}
    alert |= {"details": "eth0 outbound 150 Mbps > 100 Mbps", "culprits": None, "checks": 1}
    assert json.loads(json.dumps(plain, allow_nan=False)) == {
        "since": MIDNIGHT,
        "until": MIDNIGHT + 31,
        "first_at": MIDNIGHT,
        "last_at": MIDNIGHT + 30,
        "interval_s": 30,
        "gaps": [],
        "clock_set_back": [],
        "rate_basis": "average",
        "interfaces": {
            "eth0": {
                "tx_mbps": rates | {"limit": 100, "was_over_limit": True},
                "rx_mbps": rates | halves | {"limit": 100},
                "errors": nothing | no_limit,
                "drops": nothing | no_limit,
            }
        },
        "connections": {"total": nothing | no_limit | {"limit": 1000}},
        "alerts": [alert],
    }
    assert as_plain(recorded.overview(), alerts_only=True).keys() == plain.keys() - {
        "rate_basis",
        "interfaces",
        "connections",
    }
