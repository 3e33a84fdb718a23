"""Collector 3: the busiest processes between two readings. Pure.

Laws: a process is known by its pid *and* its start, so a reused pid is a new process. The order is
CPU, then memory, then bytes written, highest first, then the lower pid. What only a tie at the edge
of the list can need is asked of the processes in that tie alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from network_health.model import ProcessDetails, ProcessReading, RankedProcess

__all__ = ["shares", "shortlist", "top"]


def shares(before: ProcessReading | None, after: ProcessReading) -> tuple[RankedProcess, ...]:
    """Every process of ``after`` with its CPU share since ``before``, in percent of one CPU.

    A process that ``before`` does not have was born in between: all its CPU time counts. Unknown
    (``None``) without ``before``, or where the process did not tell.
    """
    seconds = after.at_s - before.at_s if before else 0.0
    if before is None or seconds <= 0:
        return tuple(RankedProcess(sample, None) for sample in after.processes)
    earlier = {(p.pid, p.started): p.cpu_s for p in before.processes}
    ranked = []
    for sample in after.processes:
        then = earlier.get((sample.pid, sample.started), 0.0)
        if sample.cpu_s is None or then is None:
            ranked.append(RankedProcess(sample, None))
        else:
            ranked.append(RankedProcess(sample, round((sample.cpu_s - then) / seconds * 100, 1)))
    return tuple(ranked)


def shortlist(processes: Sequence[RankedProcess], count: int) -> tuple[RankedProcess, ...]:
    """The first ``count`` by CPU and memory, and all that tie with the last of them."""
    ordered = sorted(processes, key=_cpu_and_memory, reverse=True)
    if count < 1 or len(ordered) <= count:
        return tuple(ordered[: max(count, 0)])
    edge = _cpu_and_memory(ordered[count - 1])
    last = next((i for i in range(count, len(ordered)) if _cpu_and_memory(ordered[i]) != edge), len(ordered))
    return tuple(ordered[:last])


def top(
    candidates: Sequence[RankedProcess], details: Mapping[int, ProcessDetails], count: int
) -> tuple[RankedProcess, ...]:
    """The ``count`` busiest of ``candidates``; one without ``details`` has vanished and is left out."""
    known = [replace(p, details=details[p.sample.pid]) for p in candidates if p.sample.pid in details]
    known.sort(key=lambda p: p.sample.pid)
    known.sort(key=lambda p: (*_cpu_and_memory(p), p.details.write_bytes or 0), reverse=True)
    return tuple(known[:count])


def _cpu_and_memory(process: RankedProcess) -> tuple[float, int]:
    return process.cpu_percent or 0.0, process.sample.rss_bytes or 0
