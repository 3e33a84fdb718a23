"""Runs one Python program in its own process, once per line on stdin: ``python -m bench.worker NAME``."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bench.programs import IN_PYTHON


def status_kb(field: str, pid: int | str = "self") -> int:
    """A value of ``/proc/<pid>/status``, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise LookupError(field)


def main(name: str) -> None:
    """Run the program and print its cost."""
    work = IN_PYTHON[name]()
    Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM to VmRSS
    rss_kb = status_kb("VmRSS")
    work.prepare()
    note = work.run().note
    for _ in sys.stdin:
        work.prepare()
        cpu, wall = time.process_time(), time.perf_counter()
        done = work.run()
        cpu_ms = (time.process_time() - cpu) * 1e3 if done.cpu_ms is None else done.cpu_ms
        sample = {"cpu_us": cpu_ms * 1e3, "wall_us": (time.perf_counter() - wall) * 1e6}
        print(json.dumps({**sample, "count": done.count}), flush=True)
    kept_kb = status_kb("VmRSS") - rss_kb
    print(json.dumps({"growth_kb": status_kb("VmHWM") - rss_kb, "kept_kb": kept_kb, "note": note}))


if __name__ == "__main__":
    main(sys.argv[1])
