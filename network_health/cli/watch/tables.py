"""Formats the tables of the live view: interfaces, connections, processes. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.text import Text

from network_health.cli.watch.history import SLOTS, Direction, History
from network_health.cli.watch.layout import Cell, cropped, line, wrapped
from network_health.cli.watch.state import Order
from network_health.cli.watch.theme import ALERT, DIM, HEAD, SPARK, Theme
from network_health.reporting import Content, compared_rate, connection_states, sparkline
from network_health.settings import Settings

_VALUE_WIDTH = 8
_MIN_NAME_WIDTH, _MAX_NAME_WIDTH = 11, 15
_MIN_SPARK_WIDTH = 6


def interfaces(
    links: Sequence[Content], history: History, settings: Settings, width: int, theme: Theme
) -> list[Text]:
    """A head, and a line for each of ``links``: rates, and sparklines that are full at the limit."""
    names = [theme.printable(link["iface"]) for link in links]
    name_width = min(max(_MIN_NAME_WIDTH, *map(cell_len, names)), _MAX_NAME_WIDTH)
    spark = _spark_width(width - name_width)
    directions: tuple[tuple[str, Direction, float], ...] = (
        ("out Mbps ", "tx", settings.tx_threshold_mbps),
        ("in Mbps ", "rx", settings.rx_threshold_mbps),
    )
    head = [Cell("Interface", name_width, HEAD)]
    for title, _, limit in directions:
        head.append(Cell(title, _VALUE_WIDTH + 1, DIM, right=True))
        head += [Cell(f"of {limit:g}, {_duration(spark, history)}", spark, DIM)] if spark else []
    lines = [line(head)]
    for name, link in zip(names, links, strict=True):
        style = "" if link["up"] else DIM
        cells = [Cell(name, name_width, style)]
        for _, direction, limit in directions:
            cells.append(_rate(compared_rate(link, direction, settings), limit, style, up=link["up"]))
            values = history.rates(link["iface"], direction, spark)
            cells += [_spark(values, limit, theme)] if spark else []
        lines.append(line(cells))
    return [cropped(each, width) for each in lines]


def connections(metrics: Content, history: History, limit: float, width: int, theme: Theme) -> list[Text]:
    """The number of connections with a sparkline that is full at the limit, and their states."""
    total = metrics["total_connections"]
    spark = _spark_width(width - _MIN_NAME_WIDTH)
    cells = [Cell("Connections", _MIN_NAME_WIDTH, HEAD), _value(str(total), total > limit, "")]
    if spark:
        cells.append(_spark(history.sockets(spark), limit, theme))
    cells.append(Cell(f"of {limit}, {_duration(spark, history)}" if spark else f"of {limit}", 30, DIM))
    states = [f"{theme.printable(name)} {count}" for name, count in connection_states(metrics)]
    rows = [Text(f"  {row}") for row in wrapped(states, width - 2, "   ")] if states else []
    return [cropped(each, width) for each in (line(cells), *rows)]


#: Column -> (field, format, width), in their order on the screen.
_COLUMNS: Mapping[str, tuple[str, str, int]] = {
    "pid": ("pid", "", 7),
    "user": ("user", "", 8),
    "CPU %": ("cpu_percent", ".1f", 6),
    "MiB": ("rss_mb", ".1f", 8),
    "out Mbps": ("net_tx_mbps", ".2f", 8),
    "in Mbps": ("net_rx_mbps", ".2f", 8),
    "sockets": ("sockets", "", 7),
    "container": ("container", "", 14),
    "protocol": ("protocol", "", 8),
}
#: Only if a process has it.
_IF_KNOWN = ("container",)
#: The columns by priority: a narrow terminal shows the first ones.
_PRIORITIES: Mapping[Order, tuple[str, ...]] = {
    "cpu": ("CPU %", "pid", "MiB", "out Mbps", "in Mbps", "user", "sockets"),
    "memory": ("MiB", "pid", "CPU %", "out Mbps", "in Mbps", "user", "sockets"),
    "network": ("out Mbps", "in Mbps", *_IF_KNOWN, "pid", "user", "CPU %", "MiB", "sockets", "protocol"),
}
_TITLES: Mapping[Order, str] = {
    "cpu": "Processes by CPU",
    "memory": "Processes by memory",
    "network": "Processes by network",
}
#: The metric that lists the processes in that order.
LISTS: Mapping[Order, str] = {"cpu": "top_procs", "memory": "top_memory", "network": "top_network"}


def processes(rows: Sequence[Content], order: Order, width: int, theme: Theme) -> list[Text]:
    """A head, and a line for each of ``rows``, which are in that order."""
    title = _TITLES[order]
    kept: list[str] = []
    left = width - len(title)
    for name in _PRIORITIES[order]:
        if name in _IF_KNOWN and not any(row.get(name) for row in rows):
            continue
        left -= _COLUMNS[name][2] + 2
        if left < 0:
            break
        kept.append(name)
    columns = [(name, *column) for name, column in _COLUMNS.items() if name in kept]
    labels = _labels(rows, theme)
    longest = max(map(cell_len, [title, *labels]))
    name_width = min(longest, width - sum(column[3] + 2 for column in columns))
    lines = [line([Cell(title, name_width, HEAD), *(Cell(c[0], c[3], DIM, c[0] != "user") for c in columns)])]
    for row, label in zip(rows, labels, strict=True):
        cells: list[Cell] = [Cell(cropped(Text(label), name_width, theme.ellipsis), name_width)]
        for name, field, form, column_width in columns:
            cells.append(Cell(_formatted(row.get(field), form, theme), column_width, right=name != "user"))
        lines.append(line(cells))
    return [cropped(each, width) for each in lines]


def _labels(rows: Sequence[Content], theme: Theme) -> list[str]:
    """The names of processes, each with its script; without one, the unit tells those of one name apart."""
    counts = Counter(row["name"] for row in rows)
    labels = []
    for row in rows:
        name, script = row["name"] or "?", row.get("script")
        origin = script or (row.get("unit") if counts[row["name"]] > 1 else None)
        label = f"{name} {origin}" if origin else name
        # The kernel names the process of an executable script after it, and cuts that name.
        labels.append(theme.printable(script if script and script.startswith(name) else label))
    return labels


def _formatted(value: object, form: str, theme: Theme) -> str:
    if value is None:
        return ""
    return format(value, form) if form and isinstance(value, int | float) else theme.printable(value)


def _rate(rate: float | None, limit: float, style: str, *, up: bool) -> Cell:
    if rate is None:
        return _value("?" if up else "down", over=False, style=style)
    return _value(f"{rate:.2f}" if up or rate else "down", rate > limit, style)


def _value(text: str, over: bool, style: str) -> Cell:
    """A value, marked with ``!`` if it is over its limit."""
    return Cell(text + ("!" if over else " "), _VALUE_WIDTH + 1, ALERT if over else style, right=True)


def _spark_width(columns: int) -> int:
    """The width of a sparkline if two of them share ``columns`` with their values; 0 if too narrow."""
    left = columns // 2 - _VALUE_WIDTH - 5
    return min(left, SLOTS) if left >= _MIN_SPARK_WIDTH else 0


def _spark(values: Sequence[float | None], limit: float, theme: Theme) -> Cell:
    text = Text()
    for cell in sparkline(values, limit, theme.levels):
        text.append(cell.char, ALERT if cell.over else SPARK)
    return Cell(text, len(values))


def _duration(cells: int, history: History) -> str:
    """The time that a sparkline of so many cells shows: ``last 4 min``."""
    seconds = cells * history.slot_s
    return f"last {seconds / 60:.0f} min" if seconds < 6000 else f"last {seconds / 3600:.0f} h"
