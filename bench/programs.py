"""Lists the programs that are compared, and says how each one runs.

`IN_PYTHON` has those that run inside `bench.worker`: a function that prepares the program and returns the
function to be measured. The others are commands. `PROGRAMS` lists all programs for each kind of load, in the
order of the tables.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import calls, checks, history_page, namespaces
from bench.work import Counted, Work

BUILD = Path(__file__).parent / "build"


def reference_agent() -> Any:
    """The agent that matrixswarm ships, not booted; its collectors need only these attributes."""
    package = Path(importlib.import_module("matrixswarm").__path__[0])
    os.environ["SITE_ROOT"] = str(package.parent)
    os.environ["AGENT_PATH"] = str(package / "agent")
    # Loaded by its path, as its module has the name of this project's package.
    module = _load(package / "agent" / "network_health" / "network_health.py")
    agent = object.__new__(module.Agent)
    agent.iface_exclude = set()
    agent.prev_net_io = agent.prev_time = None
    agent.top_n_procs = None  # no limit, so that all processes are counted
    return agent


def _load(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location("reference_network_health", path)
    if spec is None or spec.loader is None:
        raise ImportError(str(path))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _reference(collector: str, size: Callable[[Any], int]) -> Work:
    collect = getattr(reference_agent(), collector)
    return Work(lambda: Counted(size(collect())))


def _reference_check() -> Work:
    agent = reference_agent()

    def run() -> Counted:
        agent.get_network_summary()
        agent.get_top_process_hogs()
        return Counted(agent.get_conn_summary()["total_connections"], "a whole check")

    return Work(run)


def _psutil_connections() -> Work:
    psutil = importlib.import_module("psutil")
    return Work(lambda: Counted(len(psutil.net_connections())))


def _psutil_processes() -> Work:
    psutil = importlib.import_module("psutil")
    attributes = ["pid", "name", "cpu_percent", "memory_info"]
    return Work(lambda: Counted(len([p.info for p in psutil.process_iter(attributes)])))


def _psutil_interfaces() -> Work:
    psutil = importlib.import_module("psutil")

    def work() -> Counted:
        psutil.net_if_addrs()
        psutil.net_io_counters(pernic=True)
        return Counted(len(psutil.net_if_stats()))

    return Work(work)


#: The number of items in a reading, by collector.
_SIZES: dict[str, Callable[[Any], int]] = {
    "connections": lambda reading: reading.total,
    "processes": lambda reading: len(reading.processes),
    "interfaces": lambda reading: len(reading.links),
}


def _this_project(name: str) -> Work:
    """One collector as the monitor runs it: reading, arithmetic, ranking, and its own thread."""
    from network_health import Monitor  # late, so that it is not in the memory of the other programs

    collector = getattr(Monitor(), name)

    def work() -> Counted:
        outcome = collector.run()
        if outcome.failure:
            raise RuntimeError(outcome.failure.reason)
        return Counted(_SIZES[name](collector.last.value), f"{outcome.reader} reader")

    return Work(work)


def _reading(collector: str) -> Work:
    """Only the reader that the monitor tries first."""
    from network_health.sources import available_readers

    reader = available_readers()[0]
    read = getattr(reader, "links" if collector == "interfaces" else collector)
    read()  # the monitor, too, reads once when it is created
    return Work(lambda: Counted(_SIZES[collector](read()), f"{reader.name} reader"))


IN_PYTHON: dict[str, Callable[[], Work]] = {
    "reference/connections": lambda: _reference("get_conn_summary", lambda found: found["total_connections"]),
    "reference/processes": lambda: _reference("get_top_process_hogs", len),
    "reference/interfaces": lambda: _reference("get_network_summary", lambda found: len(found["interfaces"])),
    "psutil/connections": _psutil_connections,
    "psutil/processes": _psutil_processes,
    "psutil/interfaces": _psutil_interfaces,
    "ours/connections": lambda: _this_project("connections"),
    "ours/processes": lambda: _this_project("processes"),
    "ours/interfaces": lambda: _this_project("interfaces"),
    "reading/connections": lambda: _reading("connections"),
    "reading/processes": lambda: _reading("processes"),
    "reading/interfaces": lambda: _reading("interfaces"),
    "sample/interfaces": checks.sample,
    "waking/interfaces": checks.waking,
    "kept/interfaces": checks.kept,
    "check/interfaces": checks.of_interfaces,
    "exported/interfaces": checks.exported,
    "reference/alerts": _reference_check,
    "ours/alerts": checks.healthy,
    "between/alerts": checks.between_lookups,
    "breach/alerts": lambda: checks.with_lookup("connections", conn_threshold=1),
    "rate_breach/alerts": checks.with_rate_lookup,
    "lookup/alerts": checks.lookup,
    "search/alerts": checks.search,
    "ours/namespaces": namespaces.healthy,
    "added/namespaces": namespaces.added,
    "breach/namespaces": namespaces.with_lookup,
    "rate_breach/namespaces": namespaces.with_rate_lookup,
    "owners/namespaces": namespaces.search,
    "limit/calls": calls.alone,
    "attached/calls": calls.attached,
    "counted/calls": calls.counted,
    "detached/calls": calls.detached,
    "made/page": history_page.made,
    "opened/page": history_page.opened,
}


@dataclass(frozen=True)
class Program:
    """One row of the tables.

    ``role`` selects its colour in the plot and its ratios. ``runner`` says what is run: ``python`` (a name in
    `IN_PYTHON`), ``tool`` (a command; its count is the number of lines that match ``pattern``), ``limit`` (a
    C program in ``build/``) or ``exporter`` (a scrape, with ``command`` as options; its count is the number
    of samples that match ``pattern``, or their sum if ``summed``).
    """

    name: str
    role: str
    runner: str
    command: tuple[str, ...]
    pattern: str = ""
    summed: bool = False


def _python(name: str, role: str, kind: str) -> Program:
    return Program(name, role, "python", (f"{role}/{kind}",))


def _exporter(collector: str, pattern: str, *options: str, summed: bool) -> Program:
    alone = ("--collector.disable-defaults", "--web.disable-exporter-metrics", f"--collector.{collector}")
    return Program(f"node_exporter, {collector}", "exporter", "exporter", (*alone, *options), pattern, summed)


PROGRAMS: dict[str, tuple[Program, ...]] = {
    "connections": (
        _python("reference agent", "reference", "connections"),
        _python("psutil", "psutil", "connections"),
        Program("`ss -Htuna`", "tool", "tool", ("ss", "-Htuna"), r"^\w"),
        _exporter("tcpstat", r'node_tcp_connection_states\{state="(?!.x_queued)', summed=True),
        _python("**this project**", "ours", "connections"),
        _python("this project, reading alone", "reading", "connections"),
        Program("C program: full dump", "full_dump", "limit", ("limit_connections", "full")),
        Program("C program: filtered dump", "limit", "limit", ("limit_connections", "filtered")),
    ),
    "processes": (
        _python("reference agent", "reference", "processes"),
        _python("psutil, CPU and memory only", "psutil", "processes"),
        Program("`ps`", "tool", "tool", ("ps", "-eo", "pid,pcpu,rss,comm", "--sort=-pcpu"), r"^ *\d"),
        _python("**this project**", "ours", "processes"),
        _python("this project, reading alone", "reading", "processes"),
        Program("C program: `stat` of each process", "limit", "limit", ("limit_processes",)),
    ),
    "interfaces": (
        _python("reference agent", "reference", "interfaces"),
        _python("psutil", "psutil", "interfaces"),
        Program("`ip -s link`", "tool", "tool", ("ip", "-s", "link"), r"^\d+: "),
        # Debian's build excludes loopback by default.
        _exporter(
            "netdev",
            r"node_network_receive_bytes_total\{",
            "--collector.netdev.device-exclude=",
            summed=False,
        ),
        _python("**this project**", "ours", "interfaces"),
        _python("this project, reading alone", "reading", "interfaces"),
        _python("this project, the sample of each second", "sample", "interfaces"),
        _python("only waking up, as the agent does each second", "waking", "interfaces"),
        _python("this project, keeping a check in its history", "kept", "interfaces"),
        _python("this project, a whole check", "check", "interfaces"),
        _python("this project, its text for Prometheus", "exported", "interfaces"),
        Program("C program: dump of links and of addresses", "limit", "limit", ("limit_interfaces",)),
    ),
    "alerts": (
        _python("reference agent", "reference", "alerts"),
        _python("**this project**, healthy", "ours", "alerts"),
        _python("**this project**, an active alert between two lookups", "between", "alerts"),
        _python("this project, a new alert about connections", "breach", "alerts"),
        _python("this project, a new alert about a rate", "rate_breach", "alerts"),
        _python("this project, the lookup alone", "lookup", "alerts"),
        _python("this project, only what the lookup reads", "search", "alerts"),
        Program(
            "C program: all sockets, and the link of each descriptor", "limit", "limit", ("limit_owners",)
        ),
    ),
    "namespaces": (
        Program("`ss -Htuna` in each of them", "tool", "tool", ("sh", "-c", namespaces.SS), r"^\w"),
        _python("**this project**, healthy", "ours", "namespaces"),
        _python("**this project**, what they add to a healthy check", "added", "namespaces"),
        _python("this project, a new alert about their connections", "breach", "namespaces"),
        _python("this project, a new alert about the rate of a veth", "rate_breach", "namespaces"),
        _python("this project, only the search for owners", "owners", "namespaces"),
        Program("C program: counts of each namespace", "counts", "limit", ("limit_namespaces", "counts")),
        Program(
            "C program: all sockets of each namespace", "limit", "limit", ("limit_namespaces", "sockets")
        ),
    ),
    "calls": (
        _python("calls while `bpf` is attached", "attached", "calls"),
        _python("**this project**, `bpf` in these calls", "counted", "calls"),
        _python("calls after `bpf` was detached", "detached", "calls"),
        _python("the calls alone", "limit", "calls"),
    ),
    "page": (
        _python("**this project**, `network-health page`", "made", "page"),
        _python("Chromium, until all plots on the screen are drawn", "opened", "page"),
    ),
}
