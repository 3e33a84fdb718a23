"""Calls that send and receive, without `bpf`, while it is attached, and after it was detached."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

from bench.work import Counted, Work

#: The variable of the environment with the number of calls of a run.
CALLS = "BENCH_CALLS"

_ENABLE_STATISTICS, _RUN_TIME = 32, 0  # BPF_ENABLE_STATS, BPF_STATS_RUN_TIME
_DATAGRAM = bytes(100)


def alone() -> Work:
    """The calls, without anything that counts them."""
    return Work(_calls())


def attached() -> Work:
    """The calls, counted."""
    from network_health.sources.linux.bpf import CallCounter  # late: the other programs do not need it

    calls, counter = _calls(), CallCounter()

    def run() -> Counted:
        counted = calls()
        assert counter._attached
        return counted

    return Work(run)


def counted() -> Work:
    """The time of the programs alone, which the kernel measures."""
    from network_health.sources.linux import bpf

    calls, counter = _calls(), bpf.CallCounter()
    statistics = bpf._checked("count run time", _ENABLE_STATISTICS, struct.pack("=I", _RUN_TIME))

    def run() -> Counted:
        before = _runs(counter._attached)
        done = calls()
        time_ns, runs = (now - then for now, then in zip(_runs(counter._attached), before, strict=True))
        assert statistics  # open, so that the kernel counts
        # Other processes call, too.
        return Counted(done.count, "the kernel's statistics", time_ns / runs * done.count / 1e6)

    return Work(run)


def detached() -> Work:
    """The calls after they were counted."""
    from network_health.sources.linux.bpf import CallCounter

    CallCounter().close()
    return Work(_calls())


def _calls() -> Callable[[], Counted]:
    pairs = int(os.environ[CALLS]) // 2
    receiver, sender = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    receiver.bind(("127.0.0.1", 0))
    sender.connect(receiver.getsockname())

    def run() -> Counted:
        for _ in range(pairs):
            sender.send(_DATAGRAM)
            receiver.recv(len(_DATAGRAM))
        return Counted(2 * pairs)

    return run


def _runs(descriptors: list[int]) -> tuple[int, int]:
    """The run time of these programs in nanoseconds, and the number of runs."""
    time_ns = runs = 0
    for each in descriptors:
        lines = Path(f"/proc/self/fdinfo/{each}").read_text().splitlines()
        fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        time_ns += int(fields.get("run_time_ns", 0))
        runs += int(fields.get("run_cnt", 0))
    return time_ns, runs
