"""Measures the agent in running swarms: CPU per hour at the default interval, and memory.

There are two swarms, one of them encrypted. Each has this project's agent, the framework's own agent, and an
agent that does nothing, which shows the cost of `BootAgent`. All are measured at the same time in a sandbox.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.worker import status_kb
from network_health.swarm import MATRIX, Swarm, claim, release

#: TMPDIR in the sandbox; private to it, so nothing of the swarms is left however the sandbox ends.
SCRATCH = Path(__file__).parent / "build" / "scratch"

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

AGENTS = {"bare": "bench_bare", "reference": "bench_stock", "ours": "network_health"}
NAMES = {"bare": "bare `BootAgent`", "reference": "reference agent", "ours": "**this project**"}
INTERVAL_S = 30


@dataclass(frozen=True)
class Usage:
    """The cost of one agent's process; ``reports`` is the number that its receiver logged, if known."""

    cpu_s_per_hour: float
    rss_mb: float
    reports: int | None


@dataclass(frozen=True)
class AgentCost:
    """The agents by their key in `AGENTS`, in a swarm with encryption and in one without."""

    window_s: float
    load: str
    encrypted: Mapping[str, Usage]
    plain: Mapping[str, Usage]

    @classmethod
    def of(cls, result: Mapping[str, Any], load: str) -> AgentCost:
        """Convert the result of the sandbox."""
        encrypted, plain = (
            {k: Usage(**u) for k, u in result[mode].items()} for mode in ("encrypted", "plain")
        )
        return cls(result["window_s"], load, encrypted, plain)

    def markdown(self) -> str:
        """The section's text and table."""
        lines = [
            f"Two swarms run at the same time, {self.load}. Each swarm has three agents: the reference "
            "agent, this project, and a bare agent, which only sleeps in its `worker()`. The first two check "
            f"every {INTERVAL_S} s (the default), and each one reports to its own `forensic_detective`. The "
            f"CPU time was measured over {self.window_s:.0f} s. The table shows it as CPU seconds per hour, "
            "and the resident memory at the end. *Over bare* is the difference to the bare agent. The cost "
            "of sending the reports is included. It is high in an encrypted swarm. There the received "
            "reports cannot be counted, because the log is encrypted.\n",
            "| | swarm | CPU, s per hour | over bare | resident, MB | over bare | reports received |",
            "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
            *self._rows("encrypted (default)", self.encrypted),
            *self._rows("not encrypted", self.plain),
        ]
        return "\n".join(lines) + "\n"

    @staticmethod
    def _rows(swarm: str, uses: Mapping[str, Usage]) -> Iterator[str]:
        bare = uses["bare"]
        for key, use in uses.items():
            above = ("", "")
            if key != "bare":
                more_s, more_mb = use.cpu_s_per_hour - bare.cpu_s_per_hour, use.rss_mb - bare.rss_mb
                above = (f"{more_s:.1f}", f"{more_mb:.1f}")
            reports = "" if use.reports is None else str(use.reports)
            cells = (f"{use.cpu_s_per_hour:.1f}", above[0], f"{use.rss_mb:.1f}", above[1], reports)
            yield "| " + " | ".join((NAMES[key], swarm, *cells)) + " |"


@contextmanager
def mount_points() -> Iterator[None]:
    """Create the folders over which the sandbox mounts its own file systems, and remove them at the end.

    Raises:
        SwarmError: ``/matrix`` does not exist and cannot be created.
    """
    SCRATCH.mkdir(exist_ok=True)
    claimed = claim(f"nh-bench-{os.getpid()}")
    try:
        yield
    finally:
        release(claimed)


def measure(*, quick: bool) -> dict[str, object]:
    """Boot the swarms, wait until the start is over, and measure. Runs inside a sandbox.

    Raises:
        SwarmError: a swarm did not boot.
        RuntimeError: an agent was respawned or did not report, so its cost would be wrong.
    """
    for path in (MATRIX, SCRATCH):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(path)], check=True)
    package = Path(importlib.import_module("matrixswarm").__path__[0])
    stock = (package / "agent/network_health/network_health.py").read_text(encoding="utf-8")
    extra = {"bench_bare": BARE, "bench_stock": stock}
    settle_s, window_s = (30, INTERVAL_S + 5) if quick else (60, 6 * INTERVAL_S)
    with (
        Swarm(_directive(), encryption=True, extra_agents=extra) as encrypted,
        Swarm(_directive(), encryption=False, extra_agents=extra) as plain,
    ):
        measurements = {
            "encrypted": _Measurement(encrypted, readable=False),
            "plain": _Measurement(plain, readable=True),
        }
        time.sleep(settle_s)
        for measurement in measurements.values():
            measurement.start()
        began = time.monotonic()
        time.sleep(window_s)
        uses = {name: measurement.finish() for name, measurement in measurements.items()}
        return {"window_s": time.monotonic() - began, **uses}


def _directive() -> dict[str, object]:
    children: list[dict[str, object]] = [{"universal_id": "bare", "name": AGENTS["bare"], "config": {}}]
    for key in ("reference", "ours"):
        role = f"bench.{key}"
        receiver = {"service-manager": [{"role": [role]}]}
        children += [
            {"universal_id": f"{key}-reports", "name": "forensic_detective", "config": receiver},
            {"universal_id": key, "name": AGENTS[key], "config": {"report_to_role": role}},
        ]
    return {"universal_id": "matrix", "name": "matrix", "children": children}


class _Measurement:
    """Measures the agents of one swarm between `start` and `finish`."""

    def __init__(self, swarm: Swarm, *, readable: bool) -> None:
        self._swarm = swarm
        self._readable = readable

    def start(self) -> None:
        """Read the counters at the start."""
        self._pids = {key: self._swarm.pid(key) for key in AGENTS}
        self._cpu_s = {key: _cpu_s(pid) for key, pid in self._pids.items()}
        self._reports = {key: self._received(key) for key in AGENTS}
        self._began = time.monotonic()

    def finish(self) -> dict[str, dict[str, float | int | None]]:
        """The cost of each agent since `start`."""
        elapsed = time.monotonic() - self._began
        uses = {}
        for key, pid in self._pids.items():
            if self._swarm.pid(key) != pid:
                raise RuntimeError(f"{key} was respawned")
            cpu_s, rss_mb = _cpu_s(pid) - self._cpu_s[key], status_kb("VmRSS", pid) / 1024
            reports = self._received(key) - self._reports[key] if self._readable and key != "bare" else None
            if reports == 0:
                raise RuntimeError(f"{key} did not report")
            uses[key] = {"cpu_s_per_hour": cpu_s / elapsed * 3600, "rss_mb": rss_mb, "reports": reports}
        return uses

    def _received(self, key: str) -> int:
        return int(self._swarm.log(f"{key}-reports").count("[INGEST]"))


def _cpu_s(pid: int) -> float:
    """CPU time of another process; see clock_getcpuclockid(3)."""
    return time.clock_gettime((~pid << 3) | 2)
