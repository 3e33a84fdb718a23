"""The tables of a live view: interfaces, connections, processes. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.text import Text

from network_health.cli.watch.history import SLOTS, History, Mark, Way, sparkline
from network_health.cli.watch.layout import Cell, cut, line, wrapped
from network_health.cli.watch.state import Order
from network_health.cli.watch.theme import ALARM, DIM, HEAD, Theme
from network_health.settings import Settings

_FIGURE = 8
_LEAST_NAME, _MOST_NAME = 11, 15
_LEAST_SPARK = 6

Content = Mapping[str, Any]


def interfaces(
    links: Sequence[Content], history: History, settings: Settings, width: int, look: Theme
) -> list[Text]:
    """A head and a line for each of ``links``: rates out and in, and how they were against their limits."""
    names = [look.plain(link["iface"]) for link in links]
    name_width = min(max(_LEAST_NAME, *map(cell_len, names)), _MOST_NAME)
    spark = _spark_width((width - name_width) // 2 - _FIGURE - 5)
    ways: tuple[tuple[str, Way, float], ...] = (
        ("out Mbps ", "tx_rate_mbps", settings.tx_threshold_mbps),
        ("in Mbps ", "rx_rate_mbps", settings.rx_threshold_mbps),
    )
    head = [Cell("Interface", name_width, HEAD)]
    for title, _, limit in ways:
        head.append(Cell(title, _FIGURE + 1, DIM, right=True))
        head += [Cell(f"of {limit:g}, {_duration(spark, history)}", spark, DIM)] if spark else []
    lines = [line(head)]
    for name, link in zip(names, links, strict=True):
        state = "" if link["up"] else DIM
        cells = [Cell(name, name_width, state)]
        for _, way, limit in ways:
            rate = link[way]
            figure = f"{rate:.2f}" if link["up"] or rate else "down"
            over = rate > limit
            cells.append(
                Cell(figure + ("!" if over else " "), _FIGURE + 1, ALARM if over else state, right=True)
            )
            marks = sparkline(history.rates(link["iface"], way, spark), limit, look.levels)
            cells += [Cell(_spark(marks), spark)] if spark else []
        lines.append(line(cells))
    return [cut(each, width) for each in lines]


def connections(metrics: Content, history: History, limit: int, width: int, look: Theme) -> list[Text]:
    """How many there are, against the limit, and the states that they are in."""
    total = metrics["total_connections"]
    over = total > limit
    spark = _spark_width((width - _LEAST_NAME) // 2 - _FIGURE - 5)
    cells = [
        Cell("Connections", _LEAST_NAME, HEAD),
        Cell(f"{total}{'!' if over else ' '}", _FIGURE + 1, ALARM if over else "", right=True),
    ]
    if spark:
        cells.append(Cell(_spark(sparkline(history.sockets(spark), limit, look.levels)), spark))
    cells.append(Cell(f"of {limit}, {_duration(spark, history)}" if spark else f"of {limit}", 30, DIM))
    by_status = sorted(metrics["by_status"].items(), key=lambda item: (-item[1], item[0]))
    states = [f"{'UDP' if name == 'NONE' else look.plain(name)} {count}" for name, count in by_status]
    rows = [Text(f"  {row}") for row in wrapped(states, width - 2, "   ")] if states else []
    return [cut(each, width) for each in (line(cells), *rows)]


#: Column, field, its form, and its width.
_COLUMNS: Mapping[str, tuple[str, str, int]] = {
    "pid": ("pid", "", 7),
    "user": ("user", "", 8),
    "CPU %": ("cpu_percent", ".1f", 6),
    "MiB": ("rss_mb", ".1f", 8),
    "out Mbps": ("net_tx_mbps", ".2f", 8),
    "in Mbps": ("net_rx_mbps", ".2f", 8),
    "sockets": ("sockets", "", 7),
}
#: Which columns a narrow terminal keeps, by what the processes are ordered by: the first ones.
_RANKS: Mapping[Order, tuple[str, ...]] = {
    "cpu": ("CPU %", "pid", "MiB", "out Mbps", "in Mbps", "user", "sockets"),
    "memory": ("MiB", "pid", "CPU %", "out Mbps", "in Mbps", "user", "sockets"),
    "network": ("out Mbps", "in Mbps", "pid", "user", "CPU %", "MiB", "sockets"),
}
_TITLES: Mapping[Order, str] = {
    "cpu": "Processes by CPU",
    "memory": "Processes by memory",
    "network": "Processes by network",
}
#: Where a report lists the processes in that order.
LISTS: Mapping[Order, str] = {"cpu": "top_procs", "memory": "top_memory", "network": "top_network"}


def processes(rows: Sequence[Content], order: Order, width: int, look: Theme) -> list[Text]:
    """A head and a line for each of ``rows``, which are in that order; in a narrow terminal some columns."""
    title = _TITLES[order]
    kept: list[str] = []
    left = width - len(title)
    for name in _RANKS[order]:
        left -= _COLUMNS[name][2] + 2
        if left < 0:
            break
        kept.append(name)
    columns = [(name, *column) for name, column in _COLUMNS.items() if name in kept]
    name_width = width - sum(column[3] + 2 for column in columns)
    lines = [line([Cell(title, name_width, HEAD), *(Cell(c[0], c[3], DIM, c[0] != "user") for c in columns)])]
    for row in rows:
        cells = [Cell(look.plain(row["name"] or "?"), name_width)]
        for name, field, form, column_width in columns:
            cells.append(Cell(_shown(row.get(field), form, look), column_width, right=name != "user"))
        lines.append(line(cells))
    return [cut(each, width) for each in lines]


def _shown(value: object, form: str, look: Theme) -> str:
    if value is None:
        return ""
    return format(value, form) if form and isinstance(value, int | float) else look.plain(value)


def _spark_width(columns: int) -> int:
    """How wide a sparkline is where there is so much room for it; 0 where it would tell nothing."""
    return min(columns, SLOTS) if columns >= _LEAST_SPARK else 0


def _spark(marks: Sequence[Mark]) -> Text:
    text = Text()
    for mark in marks:
        text.append(mark.sign, ALARM if mark.over else "green")
    return text


def _duration(cells: int, history: History) -> str:
    """What so many cells show: ``last 4 min``."""
    seconds = cells * history.slot_s
    return f"last {seconds / 60:.0f} min" if seconds < 6000 else f"last {seconds / 3600:.0f} h"
