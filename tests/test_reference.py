"""The stock agent and this port give the same report: of the same psutil readings, and on one real kernel."""

import contextlib
import socket
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace
from unittest.mock import patch

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network_health import Monitor, Settings
from network_health.sources.readers import PORTABLE
from tests.examples import examples
from tests.netns import veth
from tests.real_kernel.test_monitor_live import open_sockets, send
from tests.reference import (
    Address,
    IfStat,
    Io,
    Process,
    ProcessIo,
    World,
    psutil_says,
    reference_agent,
    reference_module,
)

INTERFACE_FIELDS = (
    *("iface", "ip", "up", "speed_mbps", "tx_errs", "rx_errs", "drops"),
    *("tx_rate_mbps", "rx_rate_mbps"),
)
PROCESS_FIELDS = ("pid", "name", "cpu_percent", "rss_mb", "write_bytes", "read_bytes")
NAMES = ("lo", "eth0", "eth1", "wlan0")
STATES = sorted(getattr(psutil, name) for name in dir(psutil) if name.startswith("CONN_"))

COUNT = st.integers(0, 10**12)
SMALL = st.integers(0, 3)
IO = st.builds(Io, COUNT, COUNT, COUNT, COUNT, SMALL, SMALL, SMALL, SMALL)


@st.composite
def two_moments(draw):
    """A world and the same world a while later, in which nothing goes back and everyone can be read."""
    seconds = draw(st.integers(1, 120))
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    stats = {name: IfStat(draw(st.booleans()), draw(st.integers(0, 40_000)), 1500) for name in names}
    ip = [Address(socket.AF_INET, "10.0.0.1"), Address(socket.AF_INET6, "::1"), Address(17, "02:00")]
    addresses = {name: draw(st.lists(st.sampled_from(ip))) for name in names}
    before = {name: draw(IO) for name in names if draw(st.booleans())}
    after = {name: Io(*map(sum, zip(io, draw(IO), strict=True))) for name, io in before.items()}
    grown, first = {}, {}
    for pid in draw(st.lists(st.integers(1, 99), unique=True)):
        ticks, more = draw(st.integers(0, 1000)), draw(st.integers(0, 400))
        rss, io = draw(st.sampled_from([0, 4096, 10**9])), ProcessIo(draw(SMALL), draw(SMALL))
        first[pid] = Process(pid, f"p{pid}", ticks / 100, 0.0, rss, io)
        cpu = ((ticks + more) / 100 - ticks / 100) / seconds * 100
        grown[pid] = Process(pid, f"p{pid}", (ticks + more) / 100, round(cpu, 1), rss, io)
    connections = draw(st.lists(st.sampled_from(STATES), max_size=30))
    one = World(1000.0, stats, addresses, before, connections, dict(sorted(first.items())))
    two = World(1000.0 + seconds, stats, addresses, after, connections, dict(sorted(grown.items())))
    return one, two


CONFIGS = st.fixed_dictionaries(
    {},
    optional={
        "exclude_interfaces": st.lists(st.sampled_from(NAMES)),
        "tx_threshold_mbps": st.integers(0, 100_000) | st.floats(0, 1e5),
        "rx_threshold_mbps": st.integers(0, 100_000) | st.floats(0, 1e5),
        "conn_threshold": st.integers(-1, 30) | st.floats(-1, 30),
        "top_n_procs": st.integers(0, 20),
    },
)


def reports(config, one, two):
    """What each of the two sends at the second moment: (the stock agent's, this port's)."""
    world = World(**vars(one))
    with psutil_says(world):
        agent = reference_agent(config)
        agent.worker()
        # The rules of section "errors" in docs/port-notes.md are compared by tests of their own.
        ours = Monitor(
            Settings.from_mapping({**config, "packet_errors": "total", "link_down_alerts": False}),
            readers=(PORTABLE,),
        )
        vars(world).update(vars(two))
        agent.worker()
        content = ours.check().as_content()
    assert not [line for line in agent.logged if "Error" in line]
    return agent.sent[-1][1]["content"], content


@settings(max_examples=examples(300), deadline=None)
@given(CONFIGS, two_moments())
def test_the_report_is_the_references_field_by_field(config, moments):
    """Every field of the reference's report, with the reference's value."""
    theirs, ours = reports(config, *moments)
    for field in ("source_agent", "service_name", "status", "severity"):
        assert ours[field] == theirs[field], field
    assert ours["details"] == theirs["details"].removeprefix("; ")
    their, our = theirs["metrics"], ours["metrics"]
    assert [[i[f] for f in INTERFACE_FIELDS] for i in our["interfaces"]] == [
        [i[f] for f in INTERFACE_FIELDS] for i in their["interfaces"]
    ]
    assert (our["total_connections"], our["by_status"]) == (their["total_connections"], their["by_status"])
    assert [[p[f] for f in PROCESS_FIELDS] for p in our["top_procs"]] == [
        [p[f] for f in PROCESS_FIELDS] for p in their["top_procs"]
    ]


@pytest.mark.parametrize(
    "config",
    [
        {"conn_threshold": -1},
        {"conn_threshold": 0.5},
        {"conn_threshold": 1.0},
        {"tx_threshold_mbps": -1, "rx_threshold_mbps": -0.5, "conn_threshold": -1},
        {"tx_threshold_mbps": 10**30, "conn_threshold": 10**30},
    ],
)
def test_limits_that_worked_in_the_reference_work(config):
    """A negative limit is always exceeded, a fraction is compared and shown as it is."""
    world = World(
        stats={"eth0": IfStat(True, 100, 1500)},
        io={"eth0": Io(*[0] * 8)},
        connections=["LISTEN"],
        processes={1: Process(1)},
    )
    theirs, ours = reports(config, world, replace(world, clock_s=1001.0))
    assert (ours["severity"], ours["details"]) == (theirs["severity"], theirs["details"].removeprefix("; "))


def test_the_fields_compared_are_all_that_the_reference_has():
    """Nothing of the reference's report escapes the comparison above."""
    world = World(
        stats={"eth0": IfStat(True, 100, 1500)},
        io={"eth0": Io(*[0] * 8)},
        connections=["LISTEN"],
        processes={1: Process(1)},
    )
    theirs, ours = reports({}, world, replace(world, clock_s=1001.0))
    assert set(theirs) | {"timestamp"} == set(ours)
    assert set(theirs["metrics"]) == {"interfaces", "total_connections", "by_status", "top_procs"}
    assert set(theirs["metrics"]["interfaces"][0]) == set(INTERFACE_FIELDS)
    assert set(theirs["metrics"]["top_procs"][0]) == set(PROCESS_FIELDS)


CHILDREN = {
    "busy": "while True: pass",
    "large": "import time; kept = bytearray(b'x') * 80_000_000; time.sleep(60)",
}
LIVE_CONFIG = {"tx_threshold_mbps": 0.1, "rx_threshold_mbps": 10, "conn_threshold": 3, "top_n_procs": 100}


@contextlib.contextmanager
def child_processes():
    """The pids of two processes, one with load and one with memory."""
    with contextlib.ExitStack() as stack:
        pids = {}
        for name, source in CHILDREN.items():
            child = stack.enter_context(subprocess.Popen([sys.executable, "-c", source]))
            stack.callback(child.kill)
            pids[name] = child.pid
        yield pids


def live_reports(config):
    """What each of the two says of the real kernel, 2 s after their first look, and the children's pids."""
    now = SimpleNamespace(s=1000.0)

    class Now(datetime):
        @classmethod
        def now(cls, tz=None):
            return cls.fromtimestamp(now.s)

    psutil.net_io_counters.cache_clear()
    agent = reference_agent(config)
    with (
        patch.object(reference_module(), "datetime", Now),
        patch("network_health.sources.linux.rtnetlink.time", SimpleNamespace(monotonic=lambda: now.s)),
        contextlib.ExitStack() as stack,
    ):
        pids = stack.enter_context(child_processes())
        open_sockets(stack)
        agent.worker()
        ours = {"packet_errors": "total", "link_down_alerts": False, "culprits_in_details": False}
        monitor = Monitor(Settings.from_mapping({**config, **ours}))
        send(1000, 300, ("10.77.0.2", 9), 0.005)
        send(500, 200, ("10.77.0.2", 9), 0.002)
        now.s += 2
        agent.worker()
        content = monitor.check().as_content()
    assert not [line for line in agent.logged if "Error" in line]
    return agent.sent[-1][1]["content"], content, pids


@pytest.mark.root
def test_the_kernels_readers_report_what_the_reference_does(namespace):
    """A real host with traffic, drops, a link that is down, sockets in six states and busy processes."""
    near, far = namespace(), namespace()
    for host in (near, far):
        host.sysctl("net.ipv6.conf.default.disable_ipv6", 1)
    veth(near, far)
    far.ip("link", "set", "vb", "mtu", "600")  # drops the larger packets
    near.ip("link", "add", "off0", "type", "veth", "peer", "name", "off1")

    theirs, ours, pids = near.call(live_reports, LIVE_CONFIG)
    for field in ("source_agent", "service_name", "status", "severity", "details"):
        assert ours[field] == theirs[field], field
    assert "drops=300" in ours["details"]
    their, our = theirs["metrics"], ours["metrics"]
    assert our["check"]["readers"] == {
        "interfaces": "kernel",
        "connections": "kernel",
        "processes": "kernel",
        "protocols": "kernel",
        "namespaces": "kernel",
    }
    assert [{f: i[f] for f in INTERFACE_FIELDS} for i in our["interfaces"]] == their["interfaces"]
    assert (our["total_connections"], our["by_status"]) == (their["total_connections"], their["by_status"])
    for pid in pids.values():
        they, we = ([p for p in m["top_procs"] if p["pid"] == pid] for m in (their, our))
        (they,), (we,) = they, we
        for field in ("name", "write_bytes", "read_bytes"):
            assert we[field] == they[field], field
        assert we["rss_mb"] == pytest.approx(they["rss_mb"], abs=1)
        assert we["cpu_percent"] == pytest.approx(they["cpu_percent"], rel=0.3, abs=5)
    assert our["top_procs"][0]["pid"] == their["top_procs"][0]["pid"] == pids["busy"]
