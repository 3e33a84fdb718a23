"""One Python contender in a process of its own, ``python -m bench.worker NAME``: a run per line on stdin."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from bench.contenders import IN_PYTHON


def status_kb(field: str, pid: int | str = "self") -> int:
    """A figure of ``/proc/<pid>/status``, in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise LookupError(field)


def main(name: str) -> None:
    """Run the contender and print what it cost."""
    work = IN_PYTHON[name]()
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again from here
    rss_kb = status_kb("VmRSS")
    note = work().note
    for _ in sys.stdin:
        cpu, wall = time.process_time(), time.perf_counter()
        count = work().count
        sample = {"cpu_us": (time.process_time() - cpu) * 1e6, "wall_us": (time.perf_counter() - wall) * 1e6}
        print(json.dumps({**sample, "count": count}), flush=True)
    kept_kb = status_kb("VmRSS") - rss_kb
    print(json.dumps({"growth_kb": status_kb("VmHWM") - rss_kb, "kept_kb": kept_kb, "note": note}))


if __name__ == "__main__":
    main(sys.argv[1])
