"""The ratios that the project set itself, and whether a run reached them.

All are ratios of median CPU times of one run, but for the memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.results import Cell


@dataclass(frozen=True)
class Verdict:
    """One target: what was asked, what was seen (``None``: not measured), and whether that will do."""

    work: str
    asked: str
    seen: str | None
    reached: bool


@dataclass(frozen=True)
class _Target:
    kind: str
    size: str
    work: str
    asked: str
    bound: float
    ratio: Callable[[Cell], float | None]
    at_least: bool = True


def _less_than(role: str) -> Callable[[Cell], float | None]:
    """How many times less this project takes than ``role``."""

    def ratio(cell: Cell) -> float | None:
        other, ours = cell.cpu_ms(role), cell.cpu_ms("ours")
        return other / ours if other and ours else None

    return ratio


def _of(role: str, what: str = "ours") -> Callable[[Cell], float | None]:
    """What this project takes, or ``what`` of it, as a multiple of ``role``."""

    def ratio(cell: Cell) -> float | None:
        other, ours = cell.cpu_ms(role), cell.cpu_ms(what)
        return ours / other if other and ours else None

    return ratio


MIX = "mix:18000+29000"
_FULL = ("connections", "100000", "connections, 100,000 sockets")
_MIXED = ("connections", MIX, "connections, TIME_WAIT-heavy")
_PROCESSES = ("processes", "3000", "processes, 3,000")
_INTERFACES = ("interfaces", "1000", "interfaces, 1,000")
_REFERENCE = "at least {} times less CPU than the reference agent"
_BREACH = "on a breach of {}: less CPU than the reference agent's ordinary check"

_TARGETS = (
    _Target(*_FULL, _REFERENCE.format(100), 100, _less_than("reference")),
    _Target(*_FULL, "at least 12 times less CPU than `ss -Htuna`", 12, _less_than("tool")),
    _Target(*_FULL, "at most 1.6 times the filtered walk in C", 1.6, _of("limit"), at_least=False),
    _Target(*_FULL, _BREACH.format("connections"), 1, _of("reference", "breach"), at_least=False),
    _Target(*_FULL, _BREACH.format("a rate"), 1, _of("reference", "rate_breach"), at_least=False),
    _Target(*_MIXED, _REFERENCE.format(40), 40, _less_than("reference")),
    _Target(*_MIXED, "at least 6 times less CPU than `ss -Htuna`", 6, _less_than("tool")),
    _Target(*_PROCESSES, _REFERENCE.format(8), 8, _less_than("reference")),
    _Target(*_PROCESSES, "at most 0.5 of `ps`", 0.5, _of("tool"), at_least=False),
    _Target(*_PROCESSES, "at most 1.5 times the C reader", 1.5, _of("limit"), at_least=False),
    _Target(*_INTERFACES, _REFERENCE.format(6), 6, _less_than("reference")),
    _Target(*_INTERFACES, "less CPU than `ip -s link`", 1, _of("tool"), at_least=False),
    _Target(*_INTERFACES, "at most 2 times the C reader", 2, _of("limit"), at_least=False),
)


def verdicts(cells: Sequence[Cell]) -> Iterator[Verdict]:
    """Every target, in order."""
    by_load = {(cell.kind, cell.size): cell for cell in cells}
    for target in _TARGETS:
        cell = by_load.get((target.kind, target.size))
        seen = target.ratio(cell) if cell else None
        if seen is None:
            yield Verdict(target.work, target.asked, None, False)
            continue
        reached = seen >= target.bound if target.at_least else seen <= target.bound
        yield Verdict(target.work, target.asked, f"{seen:.3g}", reached)
    full, empty = by_load.get(("connections", "100000")), by_load.get(("connections", "0"))
    grown = [cell.row("ours") if cell else None for cell in (full, empty)]
    most, least = (row.growth_mb if row else None for row in grown)
    yield _memory(
        "under 2 MB more memory than at 0 sockets", None if most is None or least is None else most - least, 2
    )
    for role, what in (("breach", "connections"), ("rate_breach", "a rate")):
        row = full.row(role) if full else None
        yield _memory(f"on breaches of {what}: under 4 MB of memory kept after them", row and row.kept_mb, 4)


def _memory(asked: str, seen_mb: float | None, bound_mb: float) -> Verdict:
    if seen_mb is None:
        return Verdict(_FULL[2], asked, None, False)
    return Verdict(_FULL[2], asked, f"{seen_mb:.2f} MB", seen_mb < bound_mb)
