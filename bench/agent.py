"""What the agent costs in a swarm that really runs: CPU per hour at the default interval, and memory.

One swarm holds this project's agent, the stock agent and an agent that does nothing (all that
`BootAgent` itself takes), for the same window, in a box with a load of its own.
"""

from __future__ import annotations

import importlib
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.worker import status_kb

#: A private /matrix and TMPDIR in the box: nothing of the swarm is left, however the box ends.
MATRIX, SCRATCH = Path("/matrix"), Path(__file__).parent / "build" / "scratch"

BARE = """
from matrixswarm.core.boot_agent import BootAgent
from matrixswarm.core.utils.swarm_sleep import interruptible_sleep


class Agent(BootAgent):
    def __init__(self):
        super().__init__()
        self.name = "Bare"

    def worker(self, config=None, identity=None):
        interruptible_sleep(self, 30)


if __name__ == "__main__":
    Agent().boot()
"""

DETECTIVE = {
    "universal_id": "forensic-1",
    "name": "forensic_detective",
    "config": {"service-manager": [{"role": ["hive.forensics.data_feed"]}]},
}
AGENTS = {"bare": "bench_bare", "reference": "bench_stock", "ours": "network_health"}
NAMES = {"bare": "bare `BootAgent`", "reference": "reference agent", "ours": "**this project**"}


@dataclass(frozen=True)
class Use:
    """One agent's process over the window."""

    cpu_s_per_hour: float
    rss_mb: float


@dataclass(frozen=True)
class AgentCost:
    """The three agents, by their key in `AGENTS`."""

    window_s: float
    load: str
    uses: Mapping[str, Use]

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> AgentCost:
        """From what the box printed."""
        uses = {key: Use(**use) for key, use in result["uses"].items()}
        return cls(result["window_s"], result["load"], uses)

    def markdown(self) -> str:
        """The section's text and table."""
        lines = [
            f"One swarm, encrypted as by default, {self.load}. Both agents check every 30 s (the default) "
            f"and report to a `forensic_detective`; the bare one only sleeps in its `worker()`. CPU over "
            f"{self.window_s:.0f} s, as CPU seconds per hour; resident memory at the end.\n",
            "| | CPU, s per hour | above bare | resident, MB | above bare |",
            "| --- | ---: | ---: | ---: | ---: |",
        ]
        bare = self.uses["bare"]
        for key, use in self.uses.items():
            more = (f"{use.cpu_s_per_hour - bare.cpu_s_per_hour:.1f}", f"{use.rss_mb - bare.rss_mb:.1f}")
            above = ("", "") if key == "bare" else more
            cells = (NAMES[key], f"{use.cpu_s_per_hour:.1f}", above[0], f"{use.rss_mb:.1f}", above[1])
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"


def make_mount_points() -> list[Path]:
    """The folders that the box mounts its own state on; returns those that were not there."""
    made = [path for path in (MATRIX, SCRATCH) if not path.exists()]
    for path in made:
        path.mkdir(parents=True)
    return made


def measure(*, quick: bool) -> dict[str, object]:
    """Boot, wait until all have settled, and watch. Runs inside a box.

    Raises:
        SwarmError: the swarm did not boot.
    """
    for path in (MATRIX, SCRATCH):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(path)], check=True)
    booting = importlib.import_module("network_health.swarm.booting")  # the box set TMPDIR before
    package = Path(importlib.import_module("matrixswarm").__path__[0])
    stock = (package / "agent/network_health/network_health.py").read_text(encoding="utf-8")
    children = [{"universal_id": key, "name": name, "config": {}} for key, name in AGENTS.items()]
    directive = {"universal_id": "matrix", "name": "matrix", "children": [DETECTIVE, *children]}
    settle_s, window_s = (20, 35) if quick else (60, 180)
    with booting.Swarm(directive, extra_agents={"bench_bare": BARE, "bench_stock": stock}) as swarm:
        time.sleep(settle_s)
        pids = {key: swarm.pid(key) for key in AGENTS}
        before = {key: _cpu_s(pid) for key, pid in pids.items()}
        began = time.monotonic()
        time.sleep(window_s)
        elapsed = time.monotonic() - began
        uses = {
            key: {
                "cpu_s_per_hour": (_cpu_s(pid) - before[key]) / elapsed * 3600,
                "rss_mb": status_kb("VmRSS", pid) / 1024,
            }
            for key, pid in pids.items()
        }
        if pids != {key: swarm.pid(key) for key in AGENTS}:
            raise RuntimeError("an agent was respawned meanwhile")
    return {"window_s": elapsed, "uses": uses}


def _cpu_s(pid: int) -> float:
    """CPU time of another process; see clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)
