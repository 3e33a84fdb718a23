"""Runs contenders, each in a process of its own and in both orders, and checks what they counted."""

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

from bench.contenders import BUILD, Contender
from bench.exporter import program
from bench.loads import SLACK, Load
from bench.samples import Cost, Plan
from bench.stir import stir
from bench.worker import status_kb

TIMEOUT_S = 180
EXPORTER_PORT = 9
#: What a contender that cannot answer may raise; the others are measured all the same.
_FAILURES = (OSError, subprocess.SubprocessError, http.client.HTTPException, ValueError, RuntimeError)


def compare(kind: str, load: Load, contenders: tuple[Contender, ...], plan: Plan) -> list[Cost]:
    """All contenders' costs at a load that stands; one that fails has the reason in its note."""
    costs = {c.name: Cost(c.name, c.role) for c in contenders}
    for number in range(plan.rounds):
        order = contenders if number % 2 == 0 else contenders[::-1]
        for contender in order:
            cost = costs[contender.name]
            if cost.failed:
                continue
            load.refresh()
            try:
                _one_round(kind, load, contender, plan, cost)
            except _FAILURES as error:
                cost.failed, cost.note = True, f"failed: {type(error).__name__}"
                print(f"{contender.name}: {error}", file=sys.stderr)
    return list(costs.values())


def _one_round(kind: str, load: Load, contender: Contender, plan: Plan, cost: Cost) -> None:
    before = load.expected()
    counts = _RUN[contender.how](contender, plan, cost)
    after = load.expected()
    least, most = min(before, after) - SLACK[kind], max(before, after) + SLACK[kind]
    cost.counted += counts
    cost.miscounts += sum(not least <= count <= most for count in counts)


def _python(contender: Contender, plan: Plan, cost: Cost) -> list[int]:
    return _driven([sys.executable, "-m", "bench.worker", *contender.words], plan, cost)


def _limit(contender: Contender, plan: Plan, cost: Cost) -> list[int]:
    name, *mode = contender.words
    return _driven([str(BUILD / name), *mode], plan, cost)


def _tool(contender: Contender, plan: Plan, cost: Cost) -> list[int]:
    """The runs that are measured write to nowhere; what the tool counts is seen in one more run."""
    text = _output(list(contender.words))
    _driven([str(BUILD / "run_tool"), *contender.words], plan, cost)
    return [len(re.findall(contender.lines, text, re.MULTILINE))]


def _driven(words: list[str], plan: Plan, cost: Cost) -> list[int]:
    """Have a process make run after run, each on a host where something has happened since the one before."""
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=complaints, text=True, bufsize=1
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        watchdog = threading.Timer(TIMEOUT_S, process.kill)
        watchdog.start()
        lines, began, run = [], time.monotonic(), 0
        try:
            while plan.wants_more(run, (time.monotonic() - began) * 1e3):
                stir()
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
            complaints.seek(0)
            last = complaints.read().strip().splitlines()[-1:] or ["it said nothing"]
            raise RuntimeError(f"{words[0]} failed: {last[0]}")
    return cost.add_lines("".join(lines))


def _output(words: list[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise RuntimeError(f"{words[0]} failed: {last[0]}")
    return done.stdout


def _exporter(contender: Contender, plan: Plan, cost: Cost) -> list[int]:
    address = f"--web.listen-address=127.0.0.1:{EXPORTER_PORT}"
    words = [program(), address, "--log.level=error", *contender.words]
    server = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        with _Scraper(server.pid) as scraper:
            rss_kb = status_kb("VmRSS", server.pid)
            counts = [_counted(contender, scraper.scrape().text)]
            began, run = time.monotonic(), 0
            while plan.wants_more(run, (time.monotonic() - began) * 1e3):
                stir()
                scrape = scraper.scrape()
                run += 1
                cost.cpu_ms.append(scrape.cpu_ms)
                cost.wall_ms.append(scrape.wall_ms)
                counts.append(_counted(contender, scrape.text))
            cost.growth_mb.append((status_kb("VmHWM", server.pid) - rss_kb) / 1024)
    finally:
        server.kill()
        server.wait()
    return counts


def _counted(contender: Contender, text: str) -> int:
    samples = [line for line in text.splitlines() if re.match(contender.lines, line)]
    return sum(int(float(line.rsplit(" ", 1)[1])) for line in samples) if contender.summed else len(samples)


@dataclass(frozen=True)
class _Scrape:
    text: str
    cpu_ms: float
    wall_ms: float


class _Scraper:
    """Scrapes over one connection, and reads what the exporter's process used for it."""

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
                # Its end must not leave a TIME_WAIT socket for the next contender to count.
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


_RUN = {"python": _python, "tool": _tool, "limit": _limit, "exporter": _exporter}
