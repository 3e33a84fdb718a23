"""Who is compared, and how each is asked.

`IN_PYTHON` has the contenders that run inside `bench.worker`: a function that prepares one and returns
the function to be measured. The others are commands; `CONTENDERS` lists all of them for each kind of
load, in the order of the tables.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

BUILD = Path(__file__).parent / "build"


@dataclass(frozen=True)
class Seen:
    """What one run counted, and a word on how."""

    count: int
    note: str = ""


Work = Callable[[], Seen]


def reference_agent() -> Any:
    """The agent that matrixswarm ships, without booting it: its collectors need these attributes only."""
    package = Path(importlib.import_module("matrixswarm").__path__[0])
    os.environ["SITE_ROOT"] = str(package.parent)
    os.environ["AGENT_PATH"] = str(package / "agent")
    # By its path: its file has the name of this project's package.
    module = _load(package / "agent" / "network_health" / "network_health.py")
    agent = object.__new__(module.Agent)
    agent.iface_exclude = set()
    agent.prev_net_io = agent.prev_time = None
    agent.top_n_procs = None  # the whole list is handed back, so that it can be counted
    return agent


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("reference_network_health", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _reference_connections() -> Work:
    agent = reference_agent()
    return lambda: Seen(agent.get_conn_summary()["total_connections"])


def _reference_processes() -> Work:
    agent = reference_agent()
    return lambda: Seen(len(agent.get_top_process_hogs()))


def _reference_interfaces() -> Work:
    agent = reference_agent()
    return lambda: Seen(len(agent.get_network_summary()["interfaces"]))


def _psutil_connections() -> Work:
    psutil = importlib.import_module("psutil")
    return lambda: Seen(len(psutil.net_connections()))


def _psutil_processes() -> Work:
    psutil = importlib.import_module("psutil")
    attributes = ["pid", "name", "cpu_percent", "memory_info"]
    return lambda: Seen(len([p.info for p in psutil.process_iter(attributes)]))


def _psutil_interfaces() -> Work:
    psutil = importlib.import_module("psutil")

    def work() -> Seen:
        psutil.net_if_addrs()
        psutil.net_io_counters(pernic=True)
        return Seen(len(psutil.net_if_stats()))

    return work


def _this_project(collector: str) -> Work:
    """One collector as the monitor runs it: reading, arithmetic, ranking, and its own thread."""
    from network_health.monitor import Monitor  # late, so that the other contenders do not carry it
    from network_health.sources.readers import Readers, available

    counts: dict[str, int] = {}

    def counting(way: Readers) -> Readers:
        def processes() -> Any:
            reading = way.processes()
            counts["processes"] = len(reading.processes)
            return reading

        return replace(way, processes=processes)

    monitor = Monitor(readers=[counting(way) for way in available()])
    observe = getattr(monitor, f"observe_{collector}")

    def work() -> Seen:
        outcome = observe()
        if outcome.failure:
            raise RuntimeError(outcome.failure.reason)
        if collector == "connections":
            count = outcome.value.total
        else:
            count = counts.get(collector) or len(outcome.value)
        return Seen(count, f"{outcome.reader} reader")

    return work


def _reading(collector: str) -> Work:
    """The reader alone that the monitor would ask first."""
    from network_health.sources.readers import available  # late, so that the other contenders do not carry it

    way = available()[0]
    read: dict[str, Callable[[], int]] = {
        "connections": lambda: way.connections().total,
        "processes": lambda: len(way.processes().processes),
        "interfaces": lambda: len(way.links().links),
    }
    read[collector]()  # as the monitor does when it is built
    return lambda: Seen(read[collector](), f"{way.name} reader")


def _rate_breach() -> Work:
    """The same of an interface's rate, while a process beside it sends."""
    words = [sys.executable, "-m", "bench.talk"]
    talker = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert talker.stdout is not None
    talker.stdout.readline()
    check = _breach("tx_rate", tx_threshold_mbps=1)

    def work() -> Seen:
        time.sleep(0.3)  # a rate needs a while between two readings
        return check()

    return work


def _breach(check: str, **limit: int) -> Work:
    """A whole check in which a limit is breached, so that its culprits are named."""
    from network_health import Monitor, Settings  # late, so that the other contenders do not carry it

    limits = {"conn_threshold": 10**9, "tx_threshold_mbps": 10**6, "rx_threshold_mbps": 10**6} | limit
    monitor = Monitor(Settings.from_mapping(limits))

    def work() -> Seen:
        metrics = monitor.check().metrics
        culprits = metrics.get("culprits", {})
        if check not in culprits and metrics["total_connections"]:  # without any, nothing is breached
            raise RuntimeError(culprits.get("failure", f"no culprits of {check}"))
        return Seen(metrics["total_connections"], "a whole check")

    return work


IN_PYTHON: dict[str, Callable[[], Work]] = {
    "reference/connections": _reference_connections,
    "reference/processes": _reference_processes,
    "reference/interfaces": _reference_interfaces,
    "psutil/connections": _psutil_connections,
    "psutil/processes": _psutil_processes,
    "psutil/interfaces": _psutil_interfaces,
    "ours/connections": lambda: _this_project("connections"),
    "ours/processes": lambda: _this_project("processes"),
    "ours/interfaces": lambda: _this_project("interfaces"),
    "breach/connections": lambda: _breach("connections", conn_threshold=0),
    "rate_breach/connections": _rate_breach,
    "reading/connections": lambda: _reading("connections"),
    "reading/processes": lambda: _reading("processes"),
    "reading/interfaces": lambda: _reading("interfaces"),
}


@dataclass(frozen=True)
class Contender:
    """One row of the tables.

    ``role`` gives its colour and its place in the ratios; ``how`` says what runs: ``python`` (a name in
    `IN_PYTHON`), ``tool`` (a command whose lines that match ``lines`` are what it counted), ``limit``
    (a program in ``build/``) or ``exporter`` (a scrape with ``words`` as options; the samples that match
    ``lines`` are counted, or summed where ``summed``).
    """

    name: str
    role: str
    how: str
    words: tuple[str, ...]
    lines: str = ""
    summed: bool = False


def _python(name: str, role: str, kind: str) -> Contender:
    return Contender(name, role, "python", (f"{role}/{kind}",))


def _exporter(collector: str, lines: str, *options: str, summed: bool) -> Contender:
    alone = ("--collector.disable-defaults", "--web.disable-exporter-metrics", f"--collector.{collector}")
    return Contender(f"node_exporter, {collector}", "exporter", "exporter", (*alone, *options), lines, summed)


CONTENDERS: dict[str, tuple[Contender, ...]] = {
    "connections": (
        _python("reference agent", "reference", "connections"),
        _python("psutil", "psutil", "connections"),
        Contender("`ss -Htuna`", "tool", "tool", ("ss", "-Htuna"), r"^\w"),
        _exporter("tcpstat", r'node_tcp_connection_states\{state="(?!.x_queued)', summed=True),
        _python("**this project**", "ours", "connections"),
        _python("this project, reading alone", "reading", "connections"),
        _python("this project, on a breach of connections", "breach", "connections"),
        _python("this project, on a breach of a rate", "rate_breach", "connections"),
        Contender("limit: full dump (C)", "full_dump", "limit", ("limit_connections", "full")),
        Contender("limit: filtered walk (C)", "limit", "limit", ("limit_connections", "filtered")),
    ),
    "processes": (
        _python("reference agent", "reference", "processes"),
        _python("psutil, CPU and memory only", "psutil", "processes"),
        Contender("`ps`", "tool", "tool", ("ps", "-eo", "pid,pcpu,rss,comm", "--sort=-pcpu"), r"^ *\d"),
        _python("**this project**", "ours", "processes"),
        _python("this project, reading alone", "reading", "processes"),
        Contender("limit: each `stat` read (C)", "limit", "limit", ("limit_processes",)),
    ),
    "interfaces": (
        _python("reference agent", "reference", "interfaces"),
        _python("psutil", "psutil", "interfaces"),
        Contender("`ip -s link`", "tool", "tool", ("ip", "-s", "link"), r"^\d+: "),
        # Debian's build leaves loopback out unless told otherwise.
        _exporter(
            "netdev",
            r"node_network_receive_bytes_total\{",
            "--collector.netdev.device-exclude=",
            summed=False,
        ),
        _python("**this project**", "ours", "interfaces"),
        _python("this project, reading alone", "reading", "interfaces"),
        Contender("limit: two dumps (C)", "limit", "limit", ("limit_interfaces",)),
    ),
}
