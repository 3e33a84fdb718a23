"""Runs the programs, each in its own process and in both orders, and checks what they count."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

from bench.activity import cause_activity
from bench.exporter import exporter_path
from bench.loads import SLACK, Load
from bench.programs import BUILD, Program
from bench.samples import Cost, Plan
from bench.worker import status_kb

TIMEOUT_S = 180
EXPORTER_PORT = 9
#: Errors of one program; the others are measured all the same.
_FAILURES = (OSError, subprocess.SubprocessError, http.client.HTTPException, ValueError, RuntimeError)


def compare(kind: str, load: Load, programs: tuple[Program, ...], plan: Plan) -> list[Cost]:
    """The costs of all programs at a running load; a program that fails has the reason in its note."""
    costs = {c.name: Cost(c.name, c.role) for c in programs}
    for number in range(plan.rounds):
        order = programs if number % 2 == 0 else programs[::-1]
        for program in order:
            cost = costs[program.name]
            if cost.failed:
                continue
            load.refresh()
            try:
                _one_round(kind, load, program, plan, cost)
            except _FAILURES as error:
                cost.failed, cost.note = True, f"failed: {type(error).__name__}"
                print(f"{program.name}: {error}", file=sys.stderr)
    return list(costs.values())


def _one_round(kind: str, load: Load, program: Program, plan: Plan, cost: Cost) -> None:
    before = load.expected()
    counts = _RUNNERS[program.runner](program, plan, cost)
    after = load.expected()
    lowest, highest = min(before, after) - SLACK[kind], max(before, after) + SLACK[kind]
    cost.counted += counts
    cost.miscounts += sum(not lowest <= count <= highest for count in counts)


def _python(program: Program, plan: Plan, cost: Cost) -> list[int]:
    return _measure_runs([sys.executable, "-m", "bench.worker", *program.command], plan, cost)


def _limit(program: Program, plan: Plan, cost: Cost) -> list[int]:
    name, *mode = program.command
    return _measure_runs([str(BUILD / name), *mode], plan, cost)


def _tool(program: Program, plan: Plan, cost: Cost) -> list[int]:
    """Measure a tool with its output discarded; one more run shows what it counts."""
    text = _output(list(program.command))
    _measure_runs([str(BUILD / "run_tool"), *program.command], plan, cost)
    return [len(re.findall(program.pattern, text, re.MULTILINE))]


def _measure_runs(command: list[str], plan: Plan, cost: Cost) -> list[int]:
    """Let a process make run after run, with activity on the host between them."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
        watchdog.start()
        lines, began, run = [], time.monotonic(), 0
        try:
            while plan.wants_more(run, (time.monotonic() - began) * 1e3):
                cause_activity()
                process.stdin.write("run\n")
                lines.append(process.stdout.readline())
                run += 1
                if not lines[-1]:
                    break
            process.stdin.close()
            lines.append(process.stdout.read())
        finally:
            watchdog.cancel()
            process.kill()
        if process.wait() and not lines[-1]:
            errors.seek(0)
            raise _error(command, errors.read())
    return cost.add_lines("".join(lines))


def _output(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode:
        raise _error(command, done.stderr)
    return done.stdout


def _error(command: list[str], stderr: str) -> RuntimeError:
    return RuntimeError(f"{command[0]} failed: {(stderr.strip().splitlines() or ['no error message'])[-1]}")


def _exporter(program: Program, plan: Plan, cost: Cost) -> list[int]:
    address = f"--web.listen-address=127.0.0.1:{EXPORTER_PORT}"
    command = [exporter_path(), address, "--log.level=error", *program.command]
    server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        with _Scraper(server.pid) as scraper:
            rss_kb = status_kb("VmRSS", server.pid)
            counts = [_counted(program, scraper.scrape().text)]
            began, run = time.monotonic(), 0
            while plan.wants_more(run, (time.monotonic() - began) * 1e3):
                cause_activity()
                scrape = scraper.scrape()
                run += 1
                cost.cpu_ms.append(scrape.cpu_ms)
                cost.wall_ms.append(scrape.wall_ms)
                counts.append(_counted(program, scrape.text))
            cost.growth_mb.append((status_kb("VmHWM", server.pid) - rss_kb) / 1024)
    finally:
        server.kill()
        server.wait()
    return counts


def _counted(program: Program, text: str) -> int:
    samples = [line for line in text.splitlines() if re.match(program.pattern, line)]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in samples) if program.summed else len(samples)


@dataclass(frozen=True)
class _Scrape:
    text: str
    cpu_ms: float
    wall_ms: float


class _Scraper:
    """Scrapes over one connection, and measures the CPU time of the exporter's process."""

    def __init__(self, pid: int) -> None:
        self._clock = (~pid << 3) | 2  # the CPU clock of another process; see clock_getcpuclockid(3)
        self._connection = http.client.HTTPConnection("127.0.0.1", EXPORTER_PORT, timeout=TIMEOUT_S)

    def __enter__(self) -> _Scraper:
        deadline = time.monotonic() + 10
        while True:
            try:
                self._connection.connect()
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                # Closed by a reset, so that the next program counts no TIME_WAIT socket of it.
                self._connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def scrape(self) -> _Scrape:
        cpu, wall = time.clock_gettime(self._clock), time.perf_counter()
        self._connection.request("GET", "/metrics")
        text = self._connection.getresponse().read().decode()
        wall_ms = (time.perf_counter() - wall) * 1e3
        return _Scrape(text, (time.clock_gettime(self._clock) - cpu) * 1e3, wall_ms)


_RUNNERS = {"python": _python, "tool": _tool, "limit": _limit, "exporter": _exporter}
