"""Measures one load in a sandbox: its own network, PID and mount namespaces.

The first process in it is ``python -m bench.sandbox KIND SIZE full|quick``, which prints its result as JSON.
When this process or its parent ends, the kernel ends all processes and removes all interfaces of the sandbox.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bench import agent, loads, measure
from bench.programs import PROGRAMS
from bench.samples import FULL, QUICK, Plan

NAMESPACES = ["--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child=KILL"]
ROOT = Path(__file__).parents[1]


def run(kind: str, size: str, *, quick: bool) -> dict[str, object]:
    """Create a load in a new sandbox and measure all programs of its kind, or the booted agents.

    Raises:
        RuntimeError: the load could not be created.
    """
    command = [sys.executable, "-m", "bench.sandbox", kind, size, "quick" if quick else "full"]
    # setpriv ends the sandbox if this process is killed; in its own session it gets no Ctrl-C.
    sandbox = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, *command],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(agent.SCRATCH)} if kind == "agent" else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, _ = sandbox.communicate()
    finally:
        sandbox.kill()
        sandbox.wait()
    if sandbox.returncode:
        raise RuntimeError(f"the load {kind} {size} could not be measured")
    return dict(json.loads(output))


def wait_for_quiet(seconds: float = 10) -> None:
    """Wait until this host is mostly idle: the kernel is still cleaning up after the previous load."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        busy, total = _cpu_ticks()
        time.sleep(0.5)
        busy_now, total_now = _cpu_ticks()
        if busy_now - busy < 0.15 * (total_now - total):
            return


def _cpu_ticks() -> tuple[int, int]:
    ticks = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def main(kind: str, size: str, plan: str) -> None:
    """Create the load and measure; runs inside the sandbox."""
    # The mount shows the interfaces of this namespace, not those of the host.
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    if kind == "agent":
        loads.build("connections", size)
        loads.build("interfaces", "3")
        result = agent.measure(quick=plan == "quick")
    else:
        result = _measure(kind, size, QUICK if plan == "quick" else FULL)
    os.write(sys.stdout.fileno(), json.dumps(result).encode())


def _measure(kind: str, size: str, plan: Plan) -> dict[str, object]:
    load = loads.build(kind, size)
    load.refresh()
    expected = load.expected()
    costs = measure.compare(kind, load, PROGRAMS[kind], plan)
    return {"kind": kind, "size": size, "expected": expected, "rows": [cost.as_row() for cost in costs]}


if __name__ == "__main__":
    main(*sys.argv[1:])
