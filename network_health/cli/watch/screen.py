"""Draws a state of the live view as the lines of a screen. Pure.

Guarantees: at any size of the screen, no more lines than it has, and none wider. On a small screen the
first alert comes before everything else. Text of the host is printable, and not read as markup.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.text import Text

from network_health.cli.watch.alerts import age, block, notices
from network_health.cli.watch.layout import BETWEEN, Block, beside, cropped, heights
from network_health.cli.watch.state import ORDER_KEYS, HostData, Order, State
from network_health.cli.watch.tables import LISTS, connections, interfaces, processes
from network_health.cli.watch.theme import ALERT, DIM, SELECTED, Theme
from network_health.reporting import Content, compared_rate
from network_health.settings import Settings

_SEVERITIES = {
    "INFO": (" OK ", "bold black on green"),
    "WARNING": (" WARNING ", "bold black on yellow"),
    "CRITICAL": (" CRITICAL ", "bold white on red"),
}
#: One line of the last changes for so many lines of the screen.
_LINES_PER_CHANGE = 12
#: A screen with so many lines has a blank line above its tables.
_MIN_HEIGHT_FOR_BLANK_LINES = 20
#: On a screen of so many columns the two tables of processes are side by side.
_MIN_WIDTH_FOR_BOTH = 160
#: A table of so many lines uses one of them to count the interfaces that it does not show.
_MIN_HEIGHT_FOR_COUNT = 4
#: The blocks from the top of the screen down; ``foot`` is at its bottom.
_POSITIONS = ("head", "alerts", "interfaces", "connections", "first", "second", "changes")


class Screen:
    """Draws the states of one host for one terminal; ``has_keys`` is false where no key can be read."""

    def __init__(self, host: str, settings: Settings, theme: Theme, *, has_keys: bool = True) -> None:
        self._host = theme.printable(host)
        self._settings = settings
        self._theme = theme
        self._has_keys = has_keys

    def lines(self, state: State, width: int, height: int) -> list[Text]:
        """The screen from its top: ``height`` lines of at most ``width``."""
        blocks = self._blocks(state, width, height)
        given = heights(blocks, height)
        lines = [line for name in _POSITIONS if given.get(name) for line in blocks[name].draw(given[name])]
        foot = blocks["foot"].draw(given["foot"])
        lines += [Text()] * (height - len(lines) - len(foot))
        return [cropped(line, width) for line in (*lines, *foot)]

    def _blocks(self, state: State, width: int, height: int) -> dict[str, Block]:
        """The blocks in the order of their priority."""
        content = state.shown.content
        found = notices(content) if content else []
        blocks = {
            "alerts": block(found, width, height, self._theme),
            "head": Block.of([self._head(state, len(found))]),
        }
        metrics = content["metrics"] if content else {}
        if metrics.get("interfaces"):
            blocks["interfaces"] = self._interfaces(state, metrics["interfaces"], width)
        other: Order = "cpu" if state.order == "network" else "network"
        blocks["first"] = self._processes(metrics, state.order, other, width)
        if "total_connections" in metrics:
            history, limit = state.shown.history, self._settings.conn_threshold
            blocks["connections"] = Block.of(connections(metrics, history, limit, width, self._theme))
        blocks["foot"] = Block.of([self._foot(state)])
        changes = self._changes(state.shown, width)
        blocks["changes"] = Block.of(changes[: max(height // _LINES_PER_CHANGE, 1)])
        if width < _MIN_WIDTH_FOR_BOTH:
            blocks["second"] = Block.of(self._table(metrics, other, width), 2)
        if height >= _MIN_HEIGHT_FOR_BLANK_LINES:
            for name in ("interfaces", "first", "second"):
                if name in blocks:
                    blocks[name] = blocks[name].below_blank_line()
        return blocks

    def _head(self, state: State, count: int) -> Text:
        content = state.shown.content
        parts = [(" STARTING ", SELECTED)] if content is None else [_SEVERITIES[content["severity"]]]
        if state.paused:
            parts.append((" PAUSED ", SELECTED))
        if state.late_s is not None:
            parts.append((f"no answer for {age(state.late_s)}", ALERT))
        if count:
            parts.append(("1 alert" if count == 1 else f"{count} alerts", ""))
        parts.append((self._host, ""))
        if content is None:
            parts.append(("the first rates take a second", ""))
        else:
            parts.append((_clock(content["timestamp"]), ""))
            parts.append((_interval(state.seconds, state.shown), DIM))
        return Text("  ").join(Text(text, style) for text, style in parts)

    def _foot(self, state: State) -> Text:
        if not self._has_keys:
            return Text("no keys: the input is not a terminal; Ctrl-C quits", DIM)
        orders = [
            Text(f"{key} {order}", SELECTED if order == state.order else "")
            for key, order in ORDER_KEYS.items()
        ]
        parts = (
            Text("q quit"),
            Text("processes: ").append_text(Text("  ").join(orders)),
            Text(f"interfaces: i {'busiest' if state.by_name else 'by name'}"),
            Text("p go on" if state.paused else "p pause"),
        )
        return Text("   ").join(parts)

    def _interfaces(self, state: State, links: Sequence[Content], width: int) -> Block:
        history = state.shown.history
        ordered = self._ordered(links, state)

        def draw(height: int) -> list[Text]:
            hidden = len(ordered) + 1 - height
            has_count = hidden > 0 and height >= _MIN_HEIGHT_FOR_COUNT
            shown = ordered[: height - 1 - has_count]
            lines = interfaces(shown, history, self._settings, width, self._theme)
            return [*lines, Text(f"  {hidden + 1} more", DIM)] if has_count else lines

        return Block(2, len(ordered) + 1, draw)

    def _ordered(self, links: Sequence[Content], state: State) -> list[Content]:
        """By name; or those over a limit first, then by their peak in the history."""
        if state.by_name:
            return sorted(links, key=lambda link: str(link["iface"]))
        tx_limit, rx_limit = self._settings.tx_threshold_mbps, self._settings.rx_threshold_mbps
        peaks = state.shown.history.peaks()

        def rank(link: Content) -> tuple[bool, float, bool]:
            tx, rx = (compared_rate(link, way, self._settings) or 0.0 for way in ("tx", "rx"))
            over = tx > tx_limit or rx > rx_limit
            return not over, -peaks.get(link["iface"], 0.0), not link["up"]

        return sorted(links, key=rank)

    def _processes(self, metrics: Content, order: Order, other: Order, width: int) -> Block:
        """The processes in that order; on a wide screen those in the ``other`` order beside them."""
        if width < _MIN_WIDTH_FOR_BOTH:
            return Block.of(self._table(metrics, order, width), 2)
        half = (width - len(BETWEEN)) // 2
        tables = self._table(metrics, order, half), self._table(metrics, other, half)
        return Block.of(beside(*tables, half), 2)

    def _table(self, metrics: Content, order: Order, width: int) -> list[Text]:
        rows = metrics.get(LISTS[order], ())
        lines = processes(rows, order, width, self._theme)
        if not rows and order == "network" and metrics:
            lines.append(Text(f"  {self._why_empty(metrics)}", DIM))
        return lines if len(lines) > 1 else []

    def _why_empty(self, metrics: Content) -> str:
        """Why no process is listed by network."""
        setting = self._settings.process_network
        if setting == "off":
            return "off: process_network"
        if setting != "always":
            return f"counted on a breach only: process_network is {setting}"
        if metrics["check"]["readers"].get("connections") != "kernel":
            return "not known on this system"
        return "no bytes over TCP were seen"

    def _changes(self, data: HostData, width: int) -> list[Text]:
        lines = (Text(f"{_clock(at)} {self._theme.printable(change)}", DIM) for at, change in data.changes)
        return [cropped(line, width, self._theme.ellipsis) for line in lines]


def _interval(seconds: float, data: HostData) -> str:
    if data.interval_s < seconds + 0.5:
        return f"every {seconds:g} s"
    return f"every {data.interval_s:.0f} s, as a check takes {data.duration_s:.1f} s"


def _clock(epoch_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(epoch_s))
