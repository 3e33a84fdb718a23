"""Lists the metrics of a report together with their limits. Pure.

Guarantees: an unknown value is ``None``, never 0. Every limit of `Settings` has its metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from network_health.reporting.protocol_limits import PROTOCOL_LIMITS
from network_health.settings import Settings

#: The content of a report, or a part of it.
Content = Mapping[str, Any]
_DIRECTIONS: tuple[Literal["tx", "rx"], ...] = ("tx", "rx")
_COUNTERS = ("tx_errs", "rx_errs", "drops")


@dataclass(frozen=True, slots=True)
class Metric:
    """``unit`` is ``%``, ``c`` for a counter, ``s``, or nothing; ``value`` is ``None`` if it is unknown."""

    name: str
    value: float | None
    unit: str = ""
    limit: float | None = None


def link_metrics(link: Content, settings: Settings) -> Iterator[Metric]:
    """The metrics of one of ``metrics.interfaces``."""
    name = link["iface"]
    known = dict(link) | dict.fromkeys(link.get("unknown", ()))
    yield Metric(f"{name}_tx_mbps", compared_rate(link, "tx", settings), "", settings.tx_threshold_mbps)
    yield Metric(f"{name}_rx_mbps", compared_rate(link, "rx", settings), "", settings.rx_threshold_mbps)
    for counter in _COUNTERS:
        yield Metric(f"{name}_{counter}", known[counter], "c")


def link_totals(links: Sequence[Content], settings: Settings) -> Iterator[Metric]:
    """The number of ``links``, and the sums of their metrics; a sum with an unknown part is unknown.

    What two of them carry, such as a bridge and its port, counts twice.
    """
    yield Metric("interfaces", len(links))
    for same in zip(*(link_metrics(link, settings) for link in links), strict=True):
        values = [metric.value for metric in same if metric.value is not None]
        total = sum(values) if len(values) == len(same) else None
        # The kernel allows no interface of the name "all".
        yield Metric(f"all{same[0].name.removeprefix(links[0]['iface'])}", total, same[0].unit)


def host_metrics(content: Content, settings: Settings) -> Iterator[Metric]:
    """The metrics of a report that are not those of an interface."""
    metrics = content["metrics"]
    yield Metric("connections", metrics.get("total_connections"), "", settings.conn_threshold)
    if metrics.get("namespaces"):
        most = metrics["namespaces"][0]["connections"]
        yield Metric("container_connections", most, "", settings.container_conn_threshold)
    yield from protocol_metrics(metrics, settings)
    yield Metric("check_time", round(metrics["check"]["total_ms"] / 1e3, 5), "s")


def worst_first(links: Sequence[Content], metrics: Content, settings: Settings) -> list[int]:
    """The positions of ``links``: those with an alert in ``metrics`` first, then by their rates."""
    alerted = {alert["subject"] for alert in metrics.get("alerts", ())}

    def rank(number: int) -> tuple[bool, float]:
        tx, rx = (compared_rate(links[number], way, settings) or 0.0 for way in _DIRECTIONS)
        return links[number]["iface"] not in alerted, -max(tx, rx)

    return sorted(range(len(links)), key=rank)


def compared_rate(link: Content, direction: Literal["tx", "rx"], settings: Settings) -> float | None:
    """The rate that is compared with the limit, as the setting ``rate_basis`` says."""
    peak: float | None = link.get(f"{direction}_peak_mbps") if settings.rate_basis == "peak" else None
    field = f"{direction}_rate_mbps"
    average = None if field in link.get("unknown", ()) else float(link[field])
    return average if peak is None else peak


def protocol_metrics(metrics: Content, settings: Settings) -> Iterator[Metric]:
    """The metrics of ``metrics.protocols``."""
    for name, value in metrics.get("protocols", {}).items():
        setting = PROTOCOL_LIMITS.get(name)
        if isinstance(value, Mapping):
            name, value = f"{name}_percent", value["percent"]
        limit = getattr(settings, setting) if setting else None
        yield Metric(name, value, "%" if name.endswith("_percent") else "", limit)


def connection_states(metrics: Content) -> list[tuple[str, int]]:
    """The states of ``metrics.by_status``, or ``UDP``, with their number of sockets, the most first."""
    states = sorted(metrics["by_status"].items(), key=lambda item: (-item[1], item[0]))
    return [("UDP" if name == "NONE" else name, count) for name, count in states]
