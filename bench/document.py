"""A run as markdown: targets, one table per load, the booted agent, and how it was measured."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from importlib.metadata import version

from bench.agent import AgentCost
from bench.exporter import program
from bench.loads import SLACK
from bench.results import Cell, Row
from bench.samples import Plan
from bench.targets import Verdict, verdicts

INTRODUCTION = """\
# What a check costs

Written by `make bench`, in one run, from loads that the bench builds itself. Do not edit: run it again.
Absolute times belong to the machine; the ratios are what to look at.
"""

HEADINGS = {
    "connections": (
        "Connections by state",
        "Both ends of loopback connections, held by one process for every 10,000, which listens as well; 100 "
        "processes sleep beside them. *On a breach* is a whole check that names the culprits of a breached "
        "limit: of connections, or of an interface's rate, by two listings a second apart. `ss` and this "
        "project count TCP and UDP, the exporter TCP only.",
    ),
    "processes": (
        "Top processes",
        "Sleeping processes of different size, of which one in ten changes between two readings. `ps` sorts "
        "by CPU. The reference agent reads every process's I/O counters; this project those of the processes "
        "that make the list and of ties at its edge.",
    ),
    "interfaces": (
        "Interfaces",
        "Loopback and veth devices, all up, one IPv4 and one IPv6 address each, and a packet on each "
        "between two readings. `ip` and the exporter read no addresses.",
    ),
}

HOW = """\
Each load stands in network, PID and mount namespaces of its own. Against a standing load, the contenders run
one after the other, each in a fresh process that warms up once: {rounds} rounds, every second one in reverse
order, {least} or more measured runs each, of which the **median** is given.

- Before each run of every contender, some processes change and interfaces carry packets, as said with each
  load: one that remembers the reading before must not meet a host where nothing happens, nor one that is
  run at once again a CPU whose caches are still warm.
- **CPU** is user + system time: of the contender's own process in Python and C, of the tool's process for
  `ss`, `ps` and `ip`, of the exporter's process for a scrape (its CPU clock before and after). Nothing is
  charged to a tool for the reading and parsing of its text: its output goes to `/dev/null`.
- **Wall** is the same run by the clock; the machine has other work to do, so compare the CPU.
- **Memory** is how far the peak of resident memory rose above what the process had before its first run;
  for a tool, which is a new process every time, its whole peak. **Kept** is how much larger the process is
  after its last run than before its first.
- **Counted** is the contender's own answer (the median, where a load moves). The load is what the kernel's
  own counters say before and after. An answer outside of that is marked **wrong**, and no ratio is built on
  it; {slack} more or less are allowed for a contender's own sockets and processes, none for interfaces.
- The **limit** is a C program on the same kernel interface that receives and does nothing else (`bench/*.c`).
- The **reference agent** is the one that matrixswarm ships: its own collector methods, called on an agent
  that was not booted.
- **This project** is one whole collector as the monitor runs it: reading, arithmetic, ranking, and the
  thread that isolates it. The targets are judged by that; *reading alone* shows what of it is the reader.
"""


def markdown(cells: Sequence[Cell], agent: AgentCost | str | None, plan: Plan, picture: str | None) -> str:
    """The whole document. ``agent`` may be the reason why it was not measured."""
    parts = [INTRODUCTION, _machine()]
    if picture:
        parts.append(f"![CPU time of one reading against the load, log-log]({picture})\n")
    if any(cell.kind in HEADINGS for cell in cells):
        rows = map(_verdict, verdicts(cells))
        parts += ["## Targets\n", _table(("work", "to reach", "this run", ""), rows)]
    for kind, (heading, words) in HEADINGS.items():
        loads = [cell for cell in cells if cell.kind == kind]
        if loads:
            parts += [f"## {heading}\n", words + "\n"]
            parts += [part for cell in loads for part in _cell(cell)]
    if agent is not None:
        parts += ["## In a booted agent\n", agent if isinstance(agent, str) else agent.markdown()]
    how = HOW.format(rounds=plan.rounds, least=plan.rounds * plan.runs, slack=SLACK["connections"])
    parts += ["## How it was measured\n", how]
    return "\n".join(parts)


def _machine() -> str:
    figures = [
        f"{datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC",
        f"Linux {re.match(r'[0-9.]+', platform.release())[0]}",  # type: ignore[index]  # it begins with a number
        f"{_cores()} cores",
        f"Python {platform.python_version()}",
        *(f"{name} {version(name)}" for name in ("psutil", "matrixswarm")),
        *filter(None, (_said("ss", "-V"), _said("ps", "-V"), _exporter())),
    ]
    return " · ".join(figures) + "\n"


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _said(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True)
    found = re.search(r"(iproute2|procps)\S*[- ](\d\S*)", done.stdout)
    return f"{found[1]} {found[2].rstrip(',')}" if found else ""


def _exporter() -> str:
    try:
        done = subprocess.run([program(), "--version"], capture_output=True, text=True)
    except FileNotFoundError:
        return ""
    found = re.search(r"version (\S+)", done.stdout + done.stderr)
    return f"node_exporter {found[1].rstrip(',')}" if found else ""


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    if verdict.seen is None:
        return verdict.work, verdict.asked, "", "not measured"
    return verdict.work, verdict.asked, verdict.seen, "reached" if verdict.reached else "**not reached**"


def _cell(cell: Cell) -> Iterator[str]:
    yield f"### {cell.title}\n"
    header = ("", "CPU, ms", "× the limit", "reference ÷ it", "wall, ms", "memory, MB", "kept, MB", "counted")
    yield _table(header, (_row(cell, row) for row in cell.rows))


def _row(cell: Cell, row: Row) -> tuple[str, ...]:
    if row.failed or row.cpu_ms is None or row.wall_ms is None:
        return row.name, row.note or "not measured", "", "", "", "", "", ""
    name = f"{row.name} ({row.note})" if row.note else row.name
    limit, reference = cell.cpu_ms("limit"), cell.cpu_ms("reference")
    return (
        name,
        _number(row.cpu_ms),
        _number(row.cpu_ms / limit) if limit and not row.miscounts else "",
        _number(reference / row.cpu_ms) if reference and not row.miscounts else "",
        _number(row.wall_ms),
        f"{row.growth_mb:.1f}" if row.growth_mb is not None else "",
        f"{row.kept_mb:.1f}" if row.kept_mb is not None else "",
        f"{row.count:,}" + (f" **wrong**, expected {cell.expected:,}" if row.miscounts else ""),
    )


def _number(value: float) -> str:
    """Three figures, no exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _table(header: Sequence[str], rows: Iterator[tuple[str, ...]] | map[tuple[str, ...]]) -> str:
    numeric = "" if header[-1] == "" else "---:"
    ruler = ["---", *([numeric or "---"] * (len(header) - 1))]
    lines = [header, ruler, *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
