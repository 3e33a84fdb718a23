"""Creates the loads inside a sandbox; they end with it (see `bench.sandbox`).

`Load.expected` is what the kernel itself counts: from protocol counters for sockets, from the list of
``/proc`` for processes, from the list of interface names. A program may also see a few sockets or processes
of its own: `SLACK`.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench import activity, calls, history_page, namespaces
from bench.programs import BUILD

PAIRS_PER_PROCESS = 5000
FIRST_PORT = 20000
#: A TIME_WAIT socket exists for 60 s; an older batch than this is replaced before the next program.
TIME_WAIT_BATCH_S = 40
#: What each process has open in the load ``descriptors:N``.
DESCRIPTORS = 64
SLACK = {
    "connections": 8,
    "processes": 8,
    "interfaces": 0,
    "alerts": 8,
    "namespaces": 8,
    "calls": 0,
    "page": 0,
}


@dataclass
class Load:
    """A running load; ``refresh`` is called before each program, to keep the load constant."""

    expected: Callable[[], int]
    refresh: Callable[[], None] = lambda: None


def build(kind: str, size: str) -> Load:
    """Create a load; ``size`` is a number, ``mix:ESTABLISHED+TIME_WAIT``, ``half-closed:N``, ``busy:N``,
    ``descriptors:N``, or ``NAMESPACES+SOCKETS``, with so many sockets each.

    One in ten processes changes between two readings; with ``busy`` all do.
    """
    if kind == "processes":
        name, _, count = size.rpartition(":")
        # Two less: the first process of the sandbox, and the parent of the others.
        os.environ[activity.GROUP] = _start_sleeping(int(count) - 2, 1 if name == "busy" else 10)
        return Load(_count_processes)
    if kind == "interfaces":
        _make_interfaces(int(size))
        os.environ[activity.INTERFACES] = "all"
        return Load(lambda: len(socket.if_nameindex()))
    if kind == "namespaces":
        number, _, sockets = size.partition("+")
        pids = _wait_ready(_launch([str(BUILD / "hold_namespaces"), number, sockets]))
        namespaces.connect([int(pid) for pid in pids.split()])
        return Load(lambda: int(number) * int(sockets))
    if kind == "page":
        return Load(history_page.record(int(size)))
    if kind == "calls":
        os.environ[calls.CALLS] = size
        return Load(lambda: int(size))
    if size.startswith("descriptors:"):
        return _sockets("2000", int(size.rpartition(":")[2]), DESCRIPTORS)
    return _sockets(size, 1000 if kind == "alerts" else 100)


def _sockets(size: str, processes: int, descriptors: int = 0) -> Load:
    """Sockets and sleeping processes; without processes psutil would look faster than on a real host."""
    Path("/proc/sys/net/ipv4/ip_local_port_range").write_text("30000 65000")
    Path("/proc/sys/net/ipv4/tcp_max_tw_buckets").write_text("500000")
    Path("/proc/sys/net/ipv4/tcp_tw_reuse").write_text("0")
    _start_sleeping(processes, 10, descriptors)
    name, _, numbers = size.rpartition(":")
    established, _, time_wait = numbers.partition("+")
    _open_connections(int(established) // 2, half_closed=name == "half-closed")
    if not time_wait:
        return Load(_count_sockets)
    batch = _TimeWaitBatch(int(time_wait))
    return Load(_count_sockets, batch.refresh)


def _open_connections(pairs: int, *, half_closed: bool) -> None:
    port = FIRST_PORT
    command = [sys.executable, "-m", "bench.hold_sockets"]
    processes = []
    while pairs > 0:
        count = min(pairs, PAIRS_PER_PROCESS)
        processes.append(
            _launch([*command, str(count), str(port), *(["half-closed"] if half_closed else [])])
        )
        pairs, port = pairs - count, port + 1
    for process in processes:
        _wait_ready(process)


class _TimeWaitBatch:
    """TIME_WAIT sockets, created by closing the client's end first."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made_s = float("-inf")

    def refresh(self) -> None:
        """Replace a batch that is about to expire, after it has expired."""
        if time.monotonic() - self.made_s < TIME_WAIT_BATCH_S:
            return
        deadline = time.monotonic() + 90
        while _counters("tw") > self.count // 100 and time.monotonic() < deadline:
            time.sleep(0.5)
        for port in range(FIRST_PORT + 1000, FIRST_PORT + 1000 + self.count, 5000):
            self._close_some(port, min(5000, self.count + FIRST_PORT + 1000 - port))
        self.made_s = time.monotonic()

    @staticmethod
    def _close_some(port: int, count: int) -> None:
        with socket.create_server(("127.0.0.2", port), backlog=16) as server:
            for _ in range(count):
                client = socket.create_connection(("127.0.0.2", port))
                accepted, _address = server.accept()
                client.close()
                accepted.close()


def _counters(*names: str) -> int:
    """The sum of these counters over the TCP and UDP lines of /proc/net/sockstat and sockstat6."""
    text = Path("/proc/net/sockstat").read_text() + Path("/proc/net/sockstat6").read_text()
    lines = "\n".join(re.findall(r"^(?:TCP|UDP)6?:.*", text, re.MULTILINE))
    return sum(int(value) for name, value in re.findall(r"(\w+) (\d+)", lines) if name in names)


def _count_sockets() -> int:
    return _counters("inuse", "tw")


def _count_processes() -> int:
    return sum(name.isdigit() for name in os.listdir("/proc"))


def _make_interfaces(count: int) -> None:
    """Loopback and veth pairs, up, with an address each; for an even count one peer is outside."""
    for name, value in (("accept_dad", "0"), ("router_solicitations", "0")):
        Path(f"/proc/sys/net/ipv6/conf/default/{name}").write_text(value)
    pairs, single = divmod(count - 1, 2)
    lines = [f"link add a{i} type veth peer name b{i}" for i in range(pairs)]
    names = [f"{end}{i}" for i in range(pairs) for end in "ab"]
    if single:
        other = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        _wait_for(lambda: os.readlink(f"/proc/{other.pid}/ns/net") != os.readlink("/proc/self/ns/net"))
        lines.append(f"link add single type veth peer name peer netns {other.pid}")
        names.append("single")
    for number, name in enumerate(names):
        lines.append(f"address add 10.{number >> 8}.{number & 255}.1/24 dev {name}")
        lines.append(f"link set {name} up")
    subprocess.run(["ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
    time.sleep(3)  # until the kernel has sent its own packets for the new addresses


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("the load was not ready within 10 s")
        time.sleep(0.01)


def _launch(command: list[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


def _wait_ready(process: subprocess.Popen[str]) -> str:
    """What the process prints after ``ready``."""
    assert process.stdout is not None
    word, _, rest = process.stdout.readline().strip().partition(" ")
    if word != "ready":
        raise RuntimeError(f"{process.args!r} was not ready")
    return rest


def _start_sleeping(count: int, share: int, descriptors: int = 0) -> str:
    """Start processes with this many descriptors each; returns the process group of one in ``share``."""
    numbers = [str(number) for number in (count, share, descriptors)]
    return _wait_ready(_launch([str(BUILD / "sleeping_processes"), *numbers]))
