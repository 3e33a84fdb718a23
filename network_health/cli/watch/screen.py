"""A state of the live view -> the lines of a screen. Pure.

Laws: never more lines than the screen has, none wider than it is, whatever its size. Where there is room
for little, the first alert comes before everything else. Nothing of the host reaches the terminal but
signs that can be printed, and none of it is read as markup.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from network_health.cli.watch.alerts import age, alarms, block
from network_health.cli.watch.layout import Block, cut, heights
from network_health.cli.watch.state import KEYS, Order, Seen, State
from network_health.cli.watch.tables import LISTS, connections, interfaces, processes
from network_health.cli.watch.theme import ALARM, CHOSEN, DIM, Theme
from network_health.settings import Settings

_SEVERITIES = {
    "INFO": (" OK ", "bold black on green"),
    "WARNING": (" WARNING ", "bold black on yellow"),
    "CRITICAL": (" CRITICAL ", "bold white on red"),
}
#: Of so many lines of the screen, one is for what happened lately.
_LATELY = 12
#: From so many lines on, tables have a blank line before them.
_AIRY = 20
#: From so many lines on, one of them counts the interfaces that there is no room for.
_COUNTED = 4
#: What is shown from the top down.
_PLACES = ("head", "alarms", "interfaces", "connections", "first", "second", "lately")

Content = Mapping[str, Any]


class Screen:
    """Draws the states of one host for one terminal; ``has_keys`` says whether keys can be pressed."""

    def __init__(self, host: str, settings: Settings, look: Theme, *, has_keys: bool = True) -> None:
        self._host = look.plain(host)
        self._settings = settings
        self._look = look
        self._has_keys = has_keys

    def lines(self, state: State, width: int, height: int) -> list[Text]:
        """The screen from its top: ``height`` lines of at most ``width``."""
        blocks = self._blocks(state, width, height)
        given = heights(blocks, height)
        lines = [line for place in _PLACES if given.get(place) for line in blocks[place].draw(given[place])]
        foot = blocks["foot"].draw(given["foot"])
        lines += [Text()] * (height - len(lines) - len(foot))
        return [cut(line, width) for line in (*lines, *foot)]

    def _blocks(self, state: State, width: int, height: int) -> dict[str, Block]:
        """The parts of the screen in the order of their rank."""
        content = state.shown.content
        told = alarms(content) if content else []
        blocks = {
            "alarms": block(told, width, height, self._look),
            "head": Block.of([self._head(state, len(told))]),
        }
        metrics = content["metrics"] if content else {}
        if metrics.get("interfaces"):
            blocks["interfaces"] = self._interfaces(state, metrics["interfaces"], width)
        other: Order = "cpu" if state.order == "network" else "network"
        blocks["first"] = self._processes(metrics, state.order, width)
        if "total_connections" in metrics:
            history, limit = state.shown.history, self._settings.conn_threshold
            blocks["connections"] = Block.of(connections(metrics, history, limit, width, self._look))
        blocks["foot"] = Block.of([self._foot(state)])
        blocks["lately"] = Block.of(self._lately(state.shown)[: max(height // _LATELY, 1)])
        blocks["second"] = self._processes(metrics, other, width)
        if height >= _AIRY:
            for place in ("interfaces", "first", "second"):
                if place in blocks:
                    blocks[place] = blocks[place].aired()
        return blocks

    def _head(self, state: State, told: int) -> Text:
        content = state.shown.content
        parts = [(" STARTING ", CHOSEN)] if content is None else [_SEVERITIES[content["severity"]]]
        if state.held:
            parts.append((" PAUSED ", CHOSEN))
        if state.late_s is not None:
            parts.append((f"no answer for {age(state.late_s)}", ALARM))
        if told:
            parts.append(("1 alert" if told == 1 else f"{told} alerts", ""))
        parts.append((self._host, ""))
        if content is None:
            parts.append(("the first rates take a second", ""))
        else:
            parts.append((_clock(content["timestamp"]), ""))
            parts.append((_pace(state.seconds, state.shown), DIM))
        return Text("  ").join(Text(text, style) for text, style in parts)

    def _foot(self, state: State) -> Text:
        if not self._has_keys:
            return Text("no keys: the input is not a terminal; Ctrl-C quits", DIM)
        orders = [
            Text(f"{key} {order}", CHOSEN if order == state.order else "") for key, order in KEYS.items()
        ]
        parts = (
            Text("q quit"),
            Text("processes: ").append_text(Text("  ").join(orders)),
            Text(f"interfaces: i {'busiest' if state.by_name else 'by name'}"),
            Text("p go on" if state.held else "p pause"),
        )
        return Text("   ").join(parts)

    def _interfaces(self, state: State, links: Sequence[Content], width: int) -> Block:
        history = state.shown.history
        ordered = self._in_order(links, state)

        def draw(height: int) -> list[Text]:
            hidden = len(ordered) + 1 - height
            counted = hidden > 0 and height >= _COUNTED
            shown = ordered[: height - 1 - counted]
            lines = interfaces(shown, history, self._settings, width, self._look)
            return [*lines, Text(f"  {hidden + 1} more", DIM)] if counted else lines

        return Block(2, len(ordered) + 1, draw)

    def _in_order(self, links: Sequence[Content], state: State) -> list[Content]:
        """By name; or those over a limit first, then by the peak of what is remembered."""
        if state.by_name:
            return sorted(links, key=lambda link: str(link["iface"]))
        out, into = self._settings.tx_threshold_mbps, self._settings.rx_threshold_mbps
        peaks = state.shown.history.peaks()

        def rank(link: Content) -> tuple[bool, float, bool]:
            over = link["tx_rate_mbps"] > out or link["rx_rate_mbps"] > into
            return not over, -peaks.get(link["iface"], 0.0), not link["up"]

        return sorted(links, key=rank)

    def _processes(self, metrics: Content, order: Order, width: int) -> Block:
        rows = metrics.get(LISTS[order], ())
        lines = processes(rows, order, width, self._look)
        if not rows and order == "network" and metrics:
            lines.append(Text(f"  {self._why_no_network(metrics)}", DIM))
        return Block.of(lines if len(lines) > 1 else [], 2)

    def _why_no_network(self, metrics: Content) -> str:
        setting = self._settings.process_network
        if setting != "always":
            return (
                "off: process_network"
                if setting == "off"
                else f"told on a breach only: process_network is {setting}"
            )
        if metrics["check"]["readers"].get("connections") != "kernel":
            return "not known on this system"
        return "no bytes over TCP were seen"

    def _lately(self, seen: Seen) -> list[Text]:
        return [Text(f"{_clock(at)} {self._look.plain(sentence)}", DIM) for at, sentence in seen.lately]


def _pace(seconds: float, seen: Seen) -> str:
    if seen.pace_s < seconds + 0.5:
        return f"every {seconds:g} s"
    return f"every {seen.pace_s:.0f} s, as a check takes {seen.took_s:.1f} s"


def _clock(epoch_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(epoch_s))
