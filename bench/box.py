"""A box: network, PID and mount namespaces with one load in them, measured from inside.

The box's first process is ``python -m bench.box KIND SIZE full|quick``; it prints its result as JSON.
When it ends, or whoever started it, the kernel ends every process and removes every interface in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from bench import agent, loads, measure
from bench.contenders import CONTENDERS
from bench.samples import FULL, QUICK, Plan

NAMESPACES = ["--net", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child=KILL"]
ROOT = Path(__file__).parents[1]


def run(kind: str, size: str, *, quick: bool) -> dict[str, object]:
    """Build a load in a new box and measure all contenders of its kind, or the booted agents.

    Raises:
        RuntimeError: the load could not be built.
    """
    words = [sys.executable, "-m", "bench.box", kind, size, "quick" if quick else "full"]
    # setpriv: if this process is killed, the box goes as well; a session: Ctrl-C is this process's alone.
    box = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", *NAMESPACES, *words],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(agent.SCRATCH)} if kind == "agent" else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, _ = box.communicate()
    finally:
        box.kill()
        box.wait()
    if box.returncode:
        raise RuntimeError(f"the load {kind} {size} could not be measured")
    return dict(json.loads(output))


def wait_for_quiet(seconds: float = 10) -> None:
    """Wait until this host is mostly idle: what a load leaves to the kernel is not the next's to pay."""
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
    """Measure from inside."""
    subprocess.run(["mount", "-t", "sysfs", "sysfs", "/sys"], check=True)  # this namespace's interfaces
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    if kind == "agent":
        loads.build("connections", size)
        loads.build("interfaces", "3")
        result = agent.measure(quick=plan == "quick")
    else:
        result = _contenders(kind, size, QUICK if plan == "quick" else FULL)
    os.write(sys.stdout.fileno(), json.dumps(result).encode())


def _contenders(kind: str, size: str, plan: Plan) -> dict[str, object]:
    load = loads.build(kind, size)
    load.refresh()
    expected = load.expected()
    costs = measure.compare(kind, load, CONTENDERS[kind], plan)
    return {"kind": kind, "size": size, "expected": expected, "rows": [cost.as_row() for cost in costs]}


if __name__ == "__main__":
    main(*sys.argv[1:])
