"""``python -m bench [PART [SIZE]] [--quick]``, as root, from the repository; SIZE is one load of that part.

A complete run (``all`` without ``--quick``) writes ``docs/performance.md`` and its picture; every other run
writes the same two files to ``bench/build/``.
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

from bench import agent, document, exporter, plot, sandbox
from bench.programs import BUILD
from bench.results import LoadResult
from bench.samples import FULL, QUICK
from bench.targets import CALLS, MIX, NAMESPACES, PAGE_DAYS
from network_health.swarm import SwarmError

C_PROGRAMS = (
    "limit_connections",
    "limit_processes",
    "limit_interfaces",
    "limit_owners",
    "limit_namespaces",
    "hold_namespaces",
    "run_tool",
    "sleeping_processes",
)
COMMANDS = ("cc", "ip", "lsns", "mount", "nsenter", "ps", "setpriv", "ss", "unshare")
LOADS = {
    "connections": ("0", "2000", "36000", "100000", MIX, "half-closed:36000"),
    "processes": ("100", "1000", "3000", "busy:3000"),
    "interfaces": ("5", "200", "1000"),
    "alerts": ("36000", "100000", "descriptors:3000"),
    "namespaces": NAMESPACES,
    "calls": (CALLS,),
    "page": (PAGE_DAYS,),
}
QUICK_LOADS = {
    "connections": ("0", "1000", "2000", "mix:400+600", "half-closed:1000"),
    "processes": ("50", "150", "busy:150"),
    "interfaces": ("3", "20"),
    "alerts": ("1000", "descriptors:50"),
    "namespaces": ("5+20",),
    "calls": ("1000",),
    "page": ("1",),
}
AGENT_SOCKETS = "2000"
AGENT_LOAD = "on a host with 100 sleeping processes, 2,000 sockets and 3 interfaces"


def main() -> int:
    """Measure and write; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[2])
    parser.add_argument("part", nargs="?", default="all", choices=[*LOADS, "agent", "all"])
    parser.add_argument("size", nargs="?", help="one load of the part, for example 36000")
    parser.add_argument(
        "--quick", action="store_true", help="small loads and three runs, only to try the bench"
    )
    options = parser.parse_args()
    if options.size and options.part not in LOADS:
        parser.error(f"a size needs one of the parts {', '.join(LOADS)}")
    signal.signal(signal.SIGTERM, _exit_on_signal)
    missing = _prepare()
    if missing:
        print(missing, file=sys.stderr)
        return 1
    began = time.monotonic()
    results = _measure(options.part, options.size, quick=options.quick)
    cost = _agent(quick=options.quick) if options.part in ("agent", "all") else None
    is_complete = options.part == "all" and not options.quick
    _write(sandbox.ROOT / "docs" if is_complete else BUILD, results, cost, quick=options.quick)
    _log(f"done in {time.monotonic() - began:.0f} s")
    return 0


def _exit_on_signal(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def _prepare() -> str | None:
    """Build and download what the bench needs; returns an error message if something is missing."""
    if os.geteuid() != 0:
        return "The bench creates its loads in its own namespaces: run it as root."
    absent = [name for name in COMMANDS if shutil.which(name) is None]
    if absent:
        packages = "gcc libc6-dev iproute2 procps util-linux"
        return f"Not installed: {', '.join(absent)}. On Debian: apt-get install -y {packages}"
    BUILD.mkdir(exist_ok=True)
    for name in C_PROGRAMS:
        source, target = Path(__file__).with_name(f"{name}.c"), BUILD / name
        if subprocess.run(["cc", "-O2", "-Wall", "-Wextra", "-o", target, source]).returncode:
            return f"bench/{name}.c could not be built"
    reason = exporter.install()
    if reason:
        _log(f"node_exporter is not measured: {reason}")
    return None


def _measure(part: str, size: str | None, *, quick: bool) -> list[LoadResult]:
    results = []
    for kind, sizes in (QUICK_LOADS if quick else LOADS).items():
        for each in ((size,) if size else sizes) if part in (kind, "all") else ():
            sandbox.wait_for_quiet()
            began = time.monotonic()
            results.append(LoadResult.of(sandbox.run(kind, each, quick=quick)))
            _log(f"{kind}: {results[-1].title} ({time.monotonic() - began:.0f} s)")
    return results


def _agent(*, quick: bool) -> agent.AgentCost | str:
    _log("agent: booting and measuring two swarms")
    sandbox.wait_for_quiet()
    try:
        with agent.mount_points():
            result = sandbox.run("agent", AGENT_SOCKETS, quick=quick)
        return agent.AgentCost.of(result, AGENT_LOAD)
    except (RuntimeError, SwarmError) as error:
        _log(str(error))
        return "Not measured: the swarms could not be booted or measured.\n"


def _write(
    folder: Path, results: list[LoadResult], cost: agent.AgentCost | str | None, *, quick: bool
) -> None:
    folder.mkdir(exist_ok=True)
    has_picture = any(result.number and result.kind in plot.TITLES for result in results)
    if has_picture:
        (folder / "performance.svg").write_text(plot.svg(results), encoding="utf-8")
    picture = "performance.svg" if has_picture else None
    text = document.markdown(results, cost, QUICK if quick else FULL, picture)
    (folder / "performance.md").write_text(text, encoding="utf-8")
    print(text)
    _log(f"written to {(folder / 'performance.md').relative_to(sandbox.ROOT)}")


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
