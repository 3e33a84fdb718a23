"""Checks of a host with other network namespaces, and what connects these with each other.

Each namespace has a veth interface. The first one sends to the second one, through the host, while the check
of a rate is measured.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import checks
from bench.work import Counted, Work

#: Lists the sockets in every other network namespace.
SS = """
own=$(readlink /proc/self/ns/net)
lsns -n -t net -o PID | while read -r pid; do
  test "$(readlink /proc/$pid/ns/net)" = "$own" || nsenter -t "$pid" -n ss -Htuna
done
"""

#: The variable of the environment with the pids of the first two namespaces.
_PIDS = "BENCH_NAMESPACES"
_PREFIX = "10.200"


def connect(pids: Sequence[int]) -> None:
    """Connect the namespaces of these processes with the host, and the first two with each other."""
    os.environ[_PIDS] = " ".join(map(str, pids[:2]))
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    links = [f"link add v{i} type veth peer name eth0 netns {pid}" for i, pid in enumerate(pids)]
    for number in range(len(pids[:2])):
        links += [f"address add {_PREFIX}.{number}.1/24 dev v{number}", f"link set v{number} up"]
    _ip(links)
    for number, pid in enumerate(pids[:2]):
        inside = [f"address add {_PREFIX}.{number}.2/24 dev eth0", "link set eth0 up"]
        _ip([*inside, f"route add default via {_PREFIX}.{number}.1"], "nsenter", "-t", str(pid), "-n")


def healthy() -> Work:
    """A check without a breach."""
    check = _checks("auto")
    return Work(lambda: Counted(_connections(check()), checks.NOTE))


def added() -> Work:
    """What the namespaces add to a check without a breach: the difference to one that does not read them."""
    with_namespaces, without = _checks("auto"), _checks("off")

    def run() -> Counted:
        start_s = time.process_time()
        without()
        middle_s = time.process_time()
        count = _connections(with_namespaces())
        added_s = time.process_time() - middle_s - (middle_s - start_s)
        return Counted(count, "two checks", added_s * 1e3)

    return Work(run)


def with_lookup() -> Work:
    """A check with a new breach about the connections of the namespaces."""
    return checks.with_lookup("namespace_connections", _connections, container_conn_threshold=1)


def with_rate_lookup() -> Work:
    """A check with a new breach about what the first namespace sends."""
    first, second = os.environ[_PIDS].split()
    command = ["nsenter", "-t", first, "-n", sys.executable, "-m", "bench.send_traffic"]
    sender = subprocess.Popen(
        [*command, second, f"{_PREFIX}.1.2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert sender.stdout is not None
    sender.stdout.readline()
    work = checks.with_lookup("rx_rate", _connections, rx_threshold_mbps=1)

    def prepare() -> None:
        work.prepare()
        time.sleep(0.3)  # a rate needs some time between two readings

    return Work(work.run, prepare)


def search() -> Work:
    """The search for the owners of all sockets of the host and of the namespaces."""
    from network_health.sources.linux.owners import OwnerSearch

    def run() -> Counted:
        return Counted(sum(len(links) for _, links in OwnerSearch(time.monotonic() + 60)), "all processes")

    return Work(run)


def _checks(namespaces: str) -> Callable[[], Mapping[str, Any]]:
    """A function that makes a check with this value of the setting, and returns its metrics."""
    from network_health import Monitor, Settings  # late, so that it is not in the memory of other programs

    # Without the byte counters of TCP sockets, which a check with few sockets reads, too.
    limits = {**checks.HEALTHY, "namespaces": namespaces, "process_network": "off"}
    monitor = Monitor(Settings.from_mapping(limits))
    for _ in range(2):  # the first two checks also read what names each namespace
        monitor.check()

    def check() -> Mapping[str, Any]:
        metrics = monitor.check().metrics
        if "culprits" in metrics:
            raise RuntimeError("a limit is breached")
        return metrics

    return check


def _connections(metrics: Mapping[str, Any]) -> int:
    return sum(each["connections"] for each in metrics["namespaces"])


def _ip(lines: Sequence[str], *prefix: str) -> None:
    subprocess.run([*prefix, "ip", "-batch", "-"], input="\n".join(lines), text=True, check=True)
