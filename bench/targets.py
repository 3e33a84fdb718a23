"""Compares the results with the project's targets.

The targets are ratios of median CPU times of one run, and limits of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.results import LoadResult


@dataclass(frozen=True)
class TargetResult:
    """One target, the measured value (``None``: not measured), and whether the target was reached."""

    work: str
    target: str
    measured: str | None
    reached: bool


@dataclass(frozen=True)
class _Target:
    kind: str
    size: str
    work: str
    target: str
    bound: float
    ratio: Callable[[LoadResult], float | None]
    at_least: bool = True


def _less_than(role: str) -> Callable[[LoadResult], float | None]:
    """The CPU time of ``role``, divided by that of this project."""

    def ratio(result: LoadResult) -> float | None:
        other, ours = result.cpu_ms(role), result.cpu_ms("ours")
        return other / ours if other and ours else None

    return ratio


def _relative_to(role: str, measured: str = "ours") -> Callable[[LoadResult], float | None]:
    """The CPU time of this project, or of its role ``measured``, divided by that of ``role``."""

    def ratio(result: LoadResult) -> float | None:
        other, ours = result.cpu_ms(role), result.cpu_ms(measured)
        return ours / other if other and ours else None

    return ratio


MIX = "mix:18000+29000"
_FULL = ("connections", "100000", "connections, 100,000 sockets")
_MIXED = ("connections", MIX, "connections, mostly in TIME_WAIT")
_PROCESSES = ("processes", "3000", "processes, 3,000")
_INTERFACES = ("interfaces", "1000", "interfaces, 1,000")
_REFERENCE = "at least {} times less CPU than the reference agent"
_PROGRAM = "at most {} times the CPU of the C program"
_BREACH = "whole check on a breach of {}: at most 1 times the CPU of the reference agent"

_TARGETS = (
    _Target(*_FULL, _REFERENCE.format(100), 100, _less_than("reference")),
    _Target(*_FULL, "at least 12 times less CPU than `ss -Htuna`", 12, _less_than("tool")),
    _Target(*_FULL, _PROGRAM.format(1.6), 1.6, _relative_to("limit"), at_least=False),
    _Target(*_FULL, _BREACH.format("connections"), 1, _relative_to("reference", "breach"), at_least=False),
    _Target(*_FULL, _BREACH.format("a rate"), 1, _relative_to("reference", "rate_breach"), at_least=False),
    _Target(*_MIXED, _REFERENCE.format(40), 40, _less_than("reference")),
    _Target(*_MIXED, "at least 6 times less CPU than `ss -Htuna`", 6, _less_than("tool")),
    _Target(*_PROCESSES, _REFERENCE.format(8), 8, _less_than("reference")),
    _Target(*_PROCESSES, "at most 0.5 times the CPU of `ps`", 0.5, _relative_to("tool"), at_least=False),
    _Target(*_PROCESSES, _PROGRAM.format(1.5), 1.5, _relative_to("limit"), at_least=False),
    _Target(*_INTERFACES, _REFERENCE.format(6), 6, _less_than("reference")),
    _Target(*_INTERFACES, "at most 1 times the CPU of `ip -s link`", 1, _relative_to("tool"), at_least=False),
    _Target(*_INTERFACES, _PROGRAM.format(2), 2, _relative_to("limit"), at_least=False),
)


def target_results(results: Sequence[LoadResult]) -> Iterator[TargetResult]:
    """The result for every target, in order."""
    by_load = {(result.kind, result.size): result for result in results}
    for each in _TARGETS:
        result = by_load.get((each.kind, each.size))
        ratio = each.ratio(result) if result else None
        if ratio is None:
            yield TargetResult(each.work, each.target, None, False)
            continue
        reached = ratio >= each.bound if each.at_least else ratio <= each.bound
        yield TargetResult(each.work, each.target, f"{ratio:.3g}", reached)
    full, empty = by_load.get(("connections", "100000")), by_load.get(("connections", "0"))
    rows = [result.row("ours") if result else None for result in (full, empty)]
    at_full, at_empty = (row.growth_mb if row else None for row in rows)
    more_mb = None if at_full is None or at_empty is None else at_full - at_empty
    yield _memory("less than 2 MB more memory than at 0 sockets", more_mb, 2)
    for role, what in (("breach", "connections"), ("rate_breach", "a rate")):
        row = full.row(role) if full else None
        yield _memory(
            f"after breaches of {what}: less than 4 MB of memory kept", row.kept_mb if row else None, 4
        )


def _memory(target: str, measured_mb: float | None, bound_mb: float) -> TargetResult:
    if measured_mb is None:
        return TargetResult(_FULL[2], target, None, False)
    return TargetResult(_FULL[2], target, f"{measured_mb:.2f} MB", measured_mb < bound_mb)
