"""Ranks the busiest processes of the time between two readings. Pure.

Guarantees: a process is identified by its pid and its start, so a reused pid is a new process. The order is
CPU, memory, bytes written (each highest first), then the lowest pid.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace

from network_health.model import ProcessDetails, ProcessReading, ProcessSample, RankedProcess


def process_candidates(
    before: ProcessReading | None, after: ProcessReading, count: int
) -> tuple[RankedProcess, ...]:
    """The first ``count`` processes of ``after`` by CPU and memory, and all that tie with the last of them.

    The CPU use since ``before`` is in percent of one CPU; ``None`` without ``before``, or if the CPU time
    cannot be read. A process that is not in ``before`` is new: all its CPU time counts.
    """
    seconds = after.at_s - before.at_s if before else 0.0
    earlier = {sample.pid: sample for sample in before.processes} if before and seconds > 0 else None
    shares = [_share(sample, earlier, seconds) for sample in after.processes]
    weights = [_weight(share, s.rss_bytes) for share, s in zip(shares, after.processes, strict=True)]
    if count < 1 or not weights:
        return ()
    lowest = heapq.nlargest(count, weights)[-1]
    rows = zip(after.processes, shares, weights, strict=True)
    return tuple(RankedProcess(sample, share) for sample, share, weight in rows if weight >= lowest)


def _share(
    sample: ProcessSample, earlier: Mapping[int, ProcessSample] | None, seconds: float
) -> float | None:
    if earlier is None or sample.cpu_s is None:
        return None
    then = earlier.get(sample.pid)
    if then is sample:  # the reader keeps the sample of an idle process
        return 0.0
    if then is None or then.started != sample.started:
        return round(sample.cpu_s / seconds * 100, 1)
    return None if then.cpu_s is None else round((sample.cpu_s - then.cpu_s) / seconds * 100, 1)


def _weight(cpu_percent: float | None, rss_bytes: int | None) -> tuple[float, int]:
    return cpu_percent or 0.0, rss_bytes or 0


def top_processes(
    processes: Sequence[RankedProcess], details: Mapping[int, ProcessDetails], count: int
) -> tuple[RankedProcess, ...]:
    """The ``count`` busiest of ``processes``. A process without ``details`` has ended and is left out."""
    known = [replace(p, details=details[p.sample.pid]) for p in processes if p.sample.pid in details]
    known.sort(key=lambda p: p.sample.pid)
    known.sort(
        key=lambda p: (*_weight(p.cpu_percent, p.sample.rss_bytes), p.details.write_bytes or 0), reverse=True
    )
    return tuple(known[:count])
