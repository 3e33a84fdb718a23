"""Compares the results with the project's targets.

The targets are ratios of median CPU times of one run, and limits of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from bench.results import LoadResult
from network_health import Settings
from network_health.attribution.kept_answers import KeptAnswers
from network_health.model import Finding


@dataclass(frozen=True)
class TargetResult:
    """One target, the measured value (``None``: not measured), and whether the target was reached.

    ``by_c`` is the value of the C program, which shows what the kernel itself leaves to reach.
    """

    work: str
    target: str
    measured: str | None
    reached: bool
    by_c: str | None = None


@dataclass(frozen=True)
class _Target:
    kind: str
    size: str
    work: str
    target: str
    bound: float
    ratio: Callable[[LoadResult], float | None]
    at_least: bool = True
    unit: str = ""
    by_c: Callable[[LoadResult], float | None] | None = None

    def text(self, value: float) -> str:
        """A value with its unit."""
        return f"{value:.3g}{self.unit}"


def _less_than(role: str, measured: str = "ours") -> Callable[[LoadResult], float | None]:
    """The CPU time of ``role``, divided by that of this project, or of its role ``measured``."""

    def ratio(result: LoadResult) -> float | None:
        other, ours = result.cpu_ms(role), result.cpu_ms(measured)
        return other / ours if other and ours else None

    return ratio


def _relative_to(role: str, measured: str = "ours") -> Callable[[LoadResult], float | None]:
    """The CPU time of this project, or of its role ``measured``, divided by that of ``role``."""

    def ratio(result: LoadResult) -> float | None:
        other, ours = result.cpu_ms(role), result.cpu_ms(measured)
        return ours / other if other and ours else None

    return ratio


def _wall_s(role: str) -> Callable[[LoadResult], float | None]:
    """The wall-clock time of that role, in seconds."""

    def seconds(result: LoadResult) -> float | None:
        row = result.row(role)
        return row.wall_ms / 1e3 if row and row.wall_ms and not row.miscounts else None

    return seconds


def _page_mb(result: LoadResult) -> float | None:
    """The size of the page, which is in the note of its row."""
    row = result.row("made")
    return float(row.note.split()[0]) if row and not row.failed else None


def lookups_in_an_hour() -> tuple[int, int]:
    """Of an unchanged alert, the lookups and the checks of its first hour with the default settings."""
    settings, kept = Settings(), KeptAnswers()
    alert = Finding("connections", "host", "", 1.0, 0.0)
    times = range(0, 3600, settings.check_interval_sec)
    lookups = 0
    for now_s in times:
        due = kept.due([alert], settings.culprit_refresh_sec, now_s)
        kept.keep([(finding, ("", {})) for finding in due], now_s)
        lookups += len(due)
    return lookups, len(times)


def _hour(role: str) -> Callable[[LoadResult], float | None]:
    """The CPU time of an hour of an alert, whose lookups are checks ``role``, by that of an hour without."""

    def ratio(result: LoadResult) -> float | None:
        lookups, checks = lookups_in_an_hour()
        healthy, between, with_lookup = (result.cpu_ms(each) for each in ("ours", "between", role))
        if not (healthy and between and with_lookup):
            return None
        return (lookups * with_lookup + (checks - lookups) * between) / (checks * healthy)

    return ratio


def _sampled_s(result: LoadResult) -> float | None:
    """The CPU time of the samples of an hour without that of waking up, in seconds."""
    sample_ms, waking_ms = result.cpu_ms("sample"), result.cpu_ms("waking")
    return (sample_ms - waking_ms) / 1e3 * 3600 if sample_ms and waking_ms else None


def _call_ns(result: LoadResult) -> float | None:
    """The time that ``bpf`` takes in each call, in nanoseconds."""
    counted_ms = result.cpu_ms("counted")
    return counted_ms * 1e6 / result.expected if counted_ms else None


MIX = "mix:18000+29000"
#: Of the other network namespaces: their number, and the sockets in each.
NAMESPACES = ("100+20", "100+360")
CALLS = "20000"
PAGE_DAYS = "30"
_FULL = ("connections", "100000", "connections, 100,000 sockets")
_MIXED = ("connections", MIX, "connections, mostly in TIME_WAIT")
_PROCESSES = ("processes", "3000", "processes, 3,000")
_INTERFACES = ("interfaces", "1000", "interfaces, 1,000")
_REFERENCE = "at least {} times less CPU than the reference agent"
_PROGRAM = "at most {} times the CPU of the C program"
_SAMPLES = "a sample in each second: at most {} s of CPU in an hour above that of waking up"
_ALERTS = (("alerts", "36000", "alert, 36,000 sockets"), ("alerts", "100000", "alert, 100,000 sockets"))
_DESCRIPTORS = ("alerts", "descriptors:3000", "alert, 3,000 processes with 64 descriptors")
_HEALTHY = ("namespaces", NAMESPACES[0], "100 other network namespaces, 2,000 sockets")
_BREACHED = ("namespaces", NAMESPACES[1], "100 other network namespaces, 36,000 sockets")
_OTHERS = "check of a new alert about {}: at most 2 times the CPU of the C program"
_NEW = "check of a new alert about {}: at most 1 times the CPU of the reference agent"
_LOOKUPS = (("breach", "connections"), ("rate_breach", "a rate"))
_BETWEEN = "check between two lookups: "
_OF_HEALTHY = "at most 1.3 times the CPU of a healthy check"
_LOOKUP = "lookup: at most 2.5 times the CPU of the C program"
_HOUR = "an hour of an alert about {}: at most 2 times the CPU of an hour of healthy checks"

_TARGETS = (
    _Target(*_FULL, _REFERENCE.format(100), 100, _less_than("reference")),
    _Target(*_FULL, "at least 12 times less CPU than `ss -Htuna`", 12, _less_than("tool")),
    _Target(*_FULL, _PROGRAM.format(1.6), 1.6, _relative_to("limit"), at_least=False),
    _Target(*_MIXED, _REFERENCE.format(40), 40, _less_than("reference")),
    _Target(*_MIXED, "at least 6 times less CPU than `ss -Htuna`", 6, _less_than("tool")),
    _Target(
        *_PROCESSES, _REFERENCE.format(8), 8, _less_than("reference"), by_c=_less_than("reference", "limit")
    ),
    _Target(*_PROCESSES, "at most 0.5 times the CPU of `ps`", 0.5, _relative_to("tool"), at_least=False),
    _Target(*_PROCESSES, _PROGRAM.format(1.5), 1.5, _relative_to("limit"), at_least=False),
    _Target(*_INTERFACES, _REFERENCE.format(6), 6, _less_than("reference")),
    _Target(*_INTERFACES, "at most 1 times the CPU of `ip -s link`", 1, _relative_to("tool"), at_least=False),
    _Target(*_INTERFACES, _PROGRAM.format(2), 2, _relative_to("limit"), at_least=False),
    _Target(
        *_INTERFACES,
        "its text for Prometheus: at most 1 times the CPU of the whole check",
        1,
        _relative_to("check", "exported"),
        at_least=False,
    ),
    *(
        _Target(
            "interfaces", size, f"interfaces, {size}", _SAMPLES.format(most), most, _sampled_s, False, " s"
        )
        for size, most in (("5", 1), ("200", 4))
    ),
    *(
        _Target(
            *("interfaces", size, f"interfaces, {size}"),
            f"keeping a check in the history: at most {most} ms of CPU",
            most,
            lambda result: result.cpu_ms("kept"),
            False,
            " ms",
        )
        for size, most in (("5", 2), ("200", 10))
    ),
    _Target(*_ALERTS[0], _BETWEEN + _REFERENCE.format(25), 25, _less_than("reference", "between")),
    *(
        _Target(*each, _BETWEEN + _OF_HEALTHY, 1.3, _relative_to("ours", "between"), at_least=False)
        for each in _ALERTS
    ),
    *(
        _Target(*each, _HOUR.format(what), 2, _hour(role), at_least=False)
        for each in _ALERTS
        for role, what in _LOOKUPS
    ),
    _Target(*_ALERTS[1], _LOOKUP, 2.5, _relative_to("limit", "lookup"), at_least=False),
    _Target(*_DESCRIPTORS, _LOOKUP, 2.5, _relative_to("limit", "lookup"), at_least=False),
    *(
        _Target(*_ALERTS[1], _NEW.format(what), 1, _relative_to("reference", role), at_least=False)
        for role, what in _LOOKUPS
    ),
    _Target(
        *_HEALTHY,
        "healthy check: at most 3 ms of CPU above one without them",
        3,
        lambda result: result.cpu_ms("added"),
        False,
        " ms",
        lambda result: result.cpu_ms("counts"),
    ),
    *(
        _Target(*_BREACHED, _OTHERS.format(what), 2, _relative_to("limit", role), at_least=False)
        for role, what in (("breach", "their connections"), ("rate_breach", "the rate of a veth"))
    ),
    _Target(
        "calls", CALLS, "`bpf`", "while attached: at most 300 ns for each call", 300, _call_ns, False, " ns"
    ),
    _Target(
        "calls",
        CALLS,
        "`bpf`",
        "after it is detached: at most 1.1 times the CPU of the calls before",
        1.1,
        _relative_to("limit", "detached"),
        at_least=False,
    ),
    _Target("page", PAGE_DAYS, "the page", "made in less than 3 s", 3, _wall_s("made"), False, " s"),
    _Target("page", PAGE_DAYS, "the page", "opened in less than 2 s", 2, _wall_s("opened"), False, " s"),
    _Target("page", PAGE_DAYS, "the page", "less than 6 MB", 6, _page_mb, False, " MB"),
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
        by_c = each.by_c(result) if each.by_c and result else None
        by_c_text = None if by_c is None else each.text(by_c)
        yield TargetResult(each.work, each.target, each.text(ratio), reached, by_c_text)
    full, empty = by_load.get(_FULL[:2]), by_load.get(("connections", "0"))
    rows = [result.row("ours") if result else None for result in (full, empty)]
    at_full, at_empty = (row.growth_mb if row else None for row in rows)
    more_mb = None if at_full is None or at_empty is None else at_full - at_empty
    yield _memory(_FULL[2], "less than 2 MB more memory than at 0 sockets", more_mb, 2)
    alert = by_load.get(_ALERTS[1][:2])
    for role, what in _LOOKUPS:
        row = alert.row(role) if alert else None
        target = f"after lookups of alerts about {what}: less than 4 MB of memory kept"
        yield _memory(_ALERTS[1][2], target, row.kept_mb if row else None, 4)


def _memory(work: str, target: str, measured_mb: float | None, bound_mb: float) -> TargetResult:
    if measured_mb is None:
        return TargetResult(work, target, None, False)
    return TargetResult(work, target, f"{measured_mb:.2f} MB", measured_mb < bound_mb)
