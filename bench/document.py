"""Writes the results as markdown: targets, one table per load, the booted agent, and the method."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import version

from bench.agent import AgentCost
from bench.exporter import exporter_path
from bench.loads import SLACK
from bench.results import LoadResult, Row
from bench.samples import Plan
from bench.targets import TargetResult, lookups_in_an_hour, target_results

INTRODUCTION = """\
# What a check costs

`make bench` writes this page in one run, with loads that it creates itself. Do not edit it; run `make bench`.
Absolute times depend on the machine. Compare the ratios. The last section says how everything was measured.
"""

HEADINGS = {
    "connections": (
        "Connections by state",
        "The load is loopback connections; both ends are sockets of this host. Each process has up to "
        "10,000 of these sockets and also listens. 100 other processes sleep. `ss` and this project count "
        "TCP and UDP sockets, node_exporter only TCP sockets.",
    ),
    "processes": (
        "Top processes",
        "The load is sleeping processes of different sizes. Between two readings, the memory of one in ten "
        "changes. `ps` sorts by CPU. The reference agent reads the I/O counters of every process. "
        "This project reads them only for the listed processes, and for processes with the same CPU and "
        "memory as the last listed one.",
    ),
    "interfaces": (
        "Interfaces",
        "The load is loopback and veth interfaces. All are up and have one IPv4 and one IPv6 address. "
        "Between two readings each one carries one packet. `ip` and node_exporter read no addresses. This "
        "project reads names and addresses again only after a change, so it can need less time than the C "
        "program, which reads them in every run. *The sample of each second* is what the agent does between "
        "two checks to find the highest second of each interface. *Keeping a check in its history* is what "
        "the setting `history` adds to a check, with its part of the summaries. *Its text for "
        "Prometheus* is what `prometheus_textfile` or `prometheus_listen` adds to a check.",
    ),
    "alerts": (
        "An active alert",
        "Each row is a whole check: interfaces, connections, processes and the culprits of an alert. The "
        "reference agent finds no culprits; its row has its three methods. The load is loopback "
        "connections, as above, and sleeping processes. The check of a *new alert* looks up its culprits; "
        "no owner is known from an earlier lookup. For a rate, it costs more: it lists the sockets with "
        "their byte counters twice, one second apart. *Between two lookups*, the alert is still active, and "
        "the check reports the culprits of the last lookup. *The lookup alone* finds and names the culprits "
        "of a new alert about connections. Most of it is reading all sockets and their owners, which is the "
        "next row. The C program receives the same sockets and reads the same links of `/proc/<pid>/fd`, "
        "and compares nothing.",
    ),
    "namespaces": (
        "Other network namespaces",
        "Each other namespace has one process, its sockets and a veth interface, as a container has. A "
        "healthy check counts the sockets of each one. *What they add* is the difference to a check with "
        "`namespaces: off` right before it. Both have `process_network: off`, so that they read nothing else "
        "that depends on sockets. A *new alert about their connections* is one alert for each namespace. Its "
        "check enters the first three of them and finds the owners of their sockets; the others follow in "
        "the next checks. The *rate of a veth* is that of the first namespace, which sends to the second one "
        "through the host. The C program enters each namespace, receives all its sockets, and compares "
        "nothing. In each of them the kernel looks through the table of all TCP sockets of the host.",
    ),
    "calls": (
        "`bpf`",
        "One process sends UDP datagrams over loopback and receives them. The time of `bpf` is the run time "
        "of its programs in these calls, by the kernel's own statistics, which are off in the other rows. "
        "The column of the C program is relative to the calls alone.",
    ),
    "page": (
        "The page of a history",
        "The load is a history of a host with five interfaces at the default interval, with alerts and their "
        "culprits. The alerts of the history, and of the page, are counted. The CPU time is that of the "
        "command, and of all processes of Chromium; the columns about memory do not include them. The wall "
        "time of Chromium is from the begin of the navigation until all plots on a screen of 1280 by 900 "
        "pixels are drawn.",
    ),
}

TARGETS = """\
A number without a unit is a ratio of CPU times. *An hour of an alert* is the sum of {checks} checks. With the
default settings, {lookups} of them look up an unchanged alert. They count as checks of a new alert, the
others as checks between two lookups.
"""

HOW = """\
Each load runs in its own network, PID and mount namespace, and stays the same during the measurement. All
programs are measured one after the other, each in a new process with one warm-up run. There are {rounds}
rounds. Every second round has the reverse order. Each program has at least {least} measured runs, and the
tables show the **median**.

- Before each run, the memory of some processes changes and the interfaces carry packets, as described for
  each load. So a program that compares with its previous reading finds changes. Without them, it would look
  faster than on a real host.
- **CPU** is user + system time. It is the time of the program's own process for Python and C, of the tool's
  process for `ss`, `ps` and `ip`, and of the process of node_exporter for one scrape. A monitoring agent
  would also have to parse the text of a tool. This cost is not included: the output goes to `/dev/null`.
- **Wall** is the wall-clock time of the same run. The machine also does other work, so compare the CPU
  time.
- **Memory** is the increase of the peak resident memory above the value before the first run. For a tool,
  which is a new process in every run, it is the whole peak. **Kept** is the increase of the resident memory
  from before the first run to after the last run.
- **Counted** is the number of sockets, processes or interfaces that the program itself reports (the median,
  if the load changes). The kernel's own counters are read before and after the run. A number outside of the
  range between these two values is marked **wrong**, and no ratio is calculated from it. A difference of
  {slack} is allowed for the program's own sockets and processes, and none for interfaces.
- The **C program** uses the same kernel interface as this project and only receives the data (`bench/*.c`).
  It shows what the kernel itself costs. *Full dump*: the kernel sends all sockets. *Filtered dump*: the
  kernel does not send sockets in ESTABLISHED and TIME_WAIT. Their numbers are read from counters in
  `/proc/net`.
- **÷ C program** is the CPU time of the row, divided by that of the C program in the last row.
  **Reference ÷ this** is the CPU time of the reference agent, divided by that of the row. 100 means that the
  program of the row needs 100 times less CPU time.
- The **reference agent** is the agent that comes with matrixswarm. Only its own method for this reading is
  called, without a swarm.
- **This project** is one whole collector as the monitor runs it: reading, arithmetic, ranking, and the
  thread that isolates it. The targets refer to this. *Reading alone* is only the first of these parts.
- In the section about alerts, a row is a **whole check**, except for the lookup alone and the C program. What
  comes before it, for example the check without an alert that a new alert needs, is not measured.
"""


def markdown(
    results: Sequence[LoadResult], agent: AgentCost | str | None, plan: Plan, picture: str | None
) -> str:
    """The whole document; ``agent`` is a message if the agent was not measured."""
    parts = [INTRODUCTION, _machine()]
    if picture:
        parts.append(f"![CPU time of one reading against the load, log-log]({picture})\n")
    if any(result.kind in HEADINGS for result in results):
        rows = map(_target, target_results(results))
        lookups, checks = lookups_in_an_hour()
        text = TARGETS.format(lookups=lookups, checks=checks)
        parts += ["## Targets\n", text, _table(("work", "target", "this run", ""), rows)]
    for kind, (heading, text) in HEADINGS.items():
        of_kind = [result for result in results if result.kind == kind]
        if of_kind:
            parts += [f"## {heading}\n", text + "\n"]
            parts += [part for result in of_kind for part in _load(result)]
    if agent is not None:
        parts += ["## In a booted agent\n", agent if isinstance(agent, str) else agent.markdown()]
    how = HOW.format(rounds=plan.rounds, least=plan.rounds * plan.runs, slack=SLACK["connections"])
    parts += ["## How it was measured\n", how]
    return "\n".join(parts)


def _machine() -> str:
    facts = [
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"Linux {re.match(r'[0-9.]+', platform.release())[0]}",  # type: ignore[index]  # it begins with a number
        f"{_cores()} cores",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in ("psutil", "matrixswarm")),
        *filter(None, (_version("ss", "-V"), _version("ps", "-V"), _exporter())),
    ]
    return " · ".join(facts) + "\n"


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _version(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    found = re.search(r"(iproute2|procps)\S*[- ](\d\S*)", done.stdout)
    return f"{found[1]} {found[2].rstrip(',')}" if found else ""


def _exporter() -> str:
    try:
        done = subprocess.run([exporter_path(), "--version"], capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    found = re.search(r"version (\S+)", done.stdout + done.stderr)
    return f"node_exporter {found[1].rstrip(',')}" if found else ""


def _target(result: TargetResult) -> tuple[str, ...]:
    if result.measured is None:
        return result.work, result.target, "", "not measured"
    by_c = f"; the C program: {result.by_c}" if result.by_c else ""
    verdict = "reached" if result.reached else f"**not reached**{by_c}"
    return result.work, result.target, result.measured, verdict


def _load(result: LoadResult) -> Iterator[str]:
    yield f"### {result.title}\n"
    header = ("", "CPU, ms", "÷ C program", "reference ÷ this", "wall, ms", "memory, MB", "kept, MB")
    yield _table((*header, "counted"), (_row(result, row) for row in result.rows))


def _row(result: LoadResult, row: Row) -> tuple[str, ...]:
    if row.failed or row.cpu_ms is None or row.wall_ms is None:
        return row.name, row.note or "not measured", "", "", "", "", "", ""
    name = f"{row.name} ({row.note})" if row.note else row.name
    limit, reference = result.cpu_ms("limit"), result.cpu_ms("reference")
    return (
        name,
        _number(row.cpu_ms),
        _number(row.cpu_ms / limit) if limit and not row.miscounts else "",
        _number(reference / row.cpu_ms) if reference and not row.miscounts else "",
        _number(row.wall_ms),
        f"{row.growth_mb:.1f}" if row.growth_mb is not None else "",
        f"{row.kept_mb:.1f}" if row.kept_mb is not None else "",
        f"{row.count:,}" + (f" **wrong**, expected {result.expected:,}" if row.miscounts else ""),
    )


def _number(value: float) -> str:
    """A number with three significant digits, without exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(header: Sequence[str], rows: Iterator[tuple[str, ...]] | map[tuple[str, ...]]) -> str:
    numeric = "" if header[-1] == "" else "---:"
    ruler = ["---", *([numeric or "---"] * (len(header) - 1))]
    lines = [header, ruler, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
