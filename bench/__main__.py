"""``python -m bench [connections|processes|interfaces|agent|all] [--quick]``, as root, from the repository.

A whole run (``all`` without ``--quick``) writes ``docs/performance.md`` and its picture; any other writes
the same two files into ``bench/build/``.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from bench import agent, box, document, exporter, plot
from bench.contenders import BUILD
from bench.results import Cell
from bench.samples import FULL, QUICK
from bench.targets import MIX
from network_health.swarm import SwarmError

PROGRAMS = ("limit_connections", "limit_processes", "limit_interfaces", "run_tool", "sleepers")
COMMANDS = ("cc", "ip", "mount", "ps", "setpriv", "ss", "unshare")
LOADS = {
    "connections": ("0", "2000", "36000", "100000", MIX, "half-closed:36000"),
    "processes": ("100", "1000", "3000", "busy:3000"),
    "interfaces": ("3", "200", "1000"),
}
QUICK_LOADS = {
    "connections": ("0", "1000", "2000", "mix:400+600", "half-closed:1000"),
    "processes": ("50", "150", "busy:150"),
    "interfaces": ("3", "20"),
}
AGENT_SOCKETS = "2000"
AGENT_LOAD = "on a host with 100 sleeping processes, 2,000 sockets and 3 interfaces"


def main() -> int:
    """Measure and write; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[2])
    parser.add_argument("part", nargs="?", default="all", choices=[*LOADS, "agent", "all"])
    parser.add_argument("--quick", action="store_true", help="small loads, three runs: only to try it")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    missing = _prepare()
    if missing:
        print(missing, file=sys.stderr)
        return 1
    began = time.monotonic()
    cells = _cells(asked.part, quick=asked.quick)
    cost = _agent(quick=asked.quick) if asked.part in ("agent", "all") else None
    whole = asked.part == "all" and not asked.quick
    _write(box.ROOT / "docs" if whole else BUILD, cells, cost, quick=asked.quick)
    _say(f"done in {time.monotonic() - began:.0f} s")
    return 0


def _end(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _prepare() -> str | None:
    """Build and fetch what the bench needs; returns what is missing."""
    if os.geteuid() != 0:
        return "The bench builds its loads in namespaces of its own: run it as root."
    absent = [name for name in COMMANDS if shutil.which(name) is None]
    if absent:
        packages = "gcc libc6-dev iproute2 procps util-linux"
        return f"Not installed: {', '.join(absent)}. On Debian: apt-get install -y {packages}"
    BUILD.mkdir(exist_ok=True)
    for name in PROGRAMS:
        source, target = Path(__file__).with_name(f"{name}.c"), BUILD / name
        if subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", target, source]).returncode:
            return f"bench/{name}.c could not be built"
    reason = exporter.provide()
    if reason:
        _say(f"without node_exporter: {reason}")
    return None


def _cells(part: str, *, quick: bool) -> list[Cell]:
    cells = []
    for kind, sizes in (QUICK_LOADS if quick else LOADS).items():
        for size in sizes if part in (kind, "all") else ():
            box.wait_for_quiet()
            began = time.monotonic()
            cells.append(Cell.of(box.run(kind, size, quick=quick)))
            _say(f"{kind}: {cells[-1].title} ({time.monotonic() - began:.0f} s)")
    return cells


def _agent(*, quick: bool) -> agent.AgentCost | str:
    _say("agent: two swarms are booted and watched")
    box.wait_for_quiet()
    try:
        with agent.mount_points():
            result = box.run("agent", AGENT_SOCKETS, quick=quick)
        return agent.AgentCost.of(result, AGENT_LOAD)
    except (RuntimeError, SwarmError) as error:
        _say(str(error))
        return "Not measured: the swarms could not be booted or watched.\n"


def _write(folder: Path, cells: list[Cell], cost: agent.AgentCost | str | None, *, quick: bool) -> None:
    folder.mkdir(exist_ok=True)
    drawn = any(cell.number for cell in cells)
    if drawn:
        (folder / "performance.svg").write_text(plot.svg(cells), encoding="utf-8")
    picture = "performance.svg" if drawn else None
    text = document.markdown(cells, cost, QUICK if quick else FULL, picture)
    (folder / "performance.md").write_text(text, encoding="utf-8")
    print(text)
    _say(f"written to {(folder / 'performance.md').relative_to(box.ROOT)}")


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
