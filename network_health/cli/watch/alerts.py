"""What stands against this host, as lines for the top of a live view. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from network_health.cli.watch.layout import Block, heights, wrapped
from network_health.cli.watch.theme import ALARM, DIM, Theme

#: How many culprits of a kind are named.
_NAMED = 3
#: Kinds of evidence: those that name processes first, and what the table of connections has left out.
_FIRST, _LEFT_OUT = ("owners", "processes"), ("states",)
_SIGNS = {"WARNING": ("!", ALARM), "CRITICAL": ("!!", "bold red")}
#: Below such a width an alert is told without its age.
_NARROW = 30

Found = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing to know: an alert, or what could not be found out; ``more`` has its culprits' shares."""

    sentence: str
    severity: str = "WARNING"
    age_s: float | None = None
    more: str = ""


def alarms(content: Found) -> list[Alarm]:
    """Those of a report's content, the worst first."""
    metrics = content["metrics"]
    culprits = metrics.get("culprits", {})
    alerts = metrics.get("alerts", ())
    sentences = content["details"].split("; ") if alerts else []
    if len(sentences) == len(alerts):
        found = [
            Alarm(sentence, alert["severity"], content["timestamp"] - alert["since"], _more(alert, culprits))
            for sentence, alert in zip(sentences, alerts, strict=True)
        ]
    else:  # a name in them has a "; " of its own
        found = [Alarm(content["details"], content["severity"])]
    found += [
        Alarm(f"Check of {failure['collector']} failed: {failure['reason']}")
        for failure in metrics.get("failures", ())
    ]
    if "failure" in culprits:
        found.append(Alarm(f"Culprits are not known: {culprits['failure']}"))
    return sorted(found, key=lambda alarm: alarm.severity != "CRITICAL")


def block(told: Sequence[Alarm], width: int, height: int, look: Theme) -> Block:
    """The alarms as a part of the view: the first of them whole, as far as ``height`` allows.

    Each of the others gets a line of its own before other parts get any, up to half the screen.
    """
    sentences = [_lines(alarm, width, look) for alarm in told]
    more = [_more_line(alarm, width, look) for alarm in told]
    first = len(sentences[0]) if told else 0
    return Block(
        min(max(first, min(first + len(told) - 1, height // 2)), height),
        sum(map(len, sentences + more)),
        lambda lines: _drawn(sentences, more, lines, look),
    )


def _drawn(
    sentences: Sequence[list[Text]], more: Sequence[list[Text]], height: int, look: Theme
) -> list[Text]:
    blocks = {str(i): Block.of(lines, 1 if i else height) for i, lines in enumerate(sentences)}
    given = list(heights(blocks, height).values())
    left = height - sum(given)
    drawn = []
    for lines, culprits, count in zip(sentences, more, given, strict=True):
        drawn += lines[:count]
        if 0 < count < len(lines):
            drawn[-1] = drawn[-1].copy().append(look.cut_off)
        drawn += culprits[:left]
        left -= len(culprits[:left])
    return drawn


def _lines(alarm: Alarm, width: int, look: Theme) -> list[Text]:
    sign, style = _SIGNS.get(alarm.severity, _SIGNS["WARNING"])
    first = f"{sign} "
    if width >= _NARROW:
        first = f"{sign:<2} {'' if alarm.age_s is None else age(alarm.age_s):>4} "
    return _wrapped(look.plain(alarm.sentence), width, first, _indent(width), style)


def _more_line(alarm: Alarm, width: int, look: Theme) -> list[Text]:
    """The culprits in a line, as far as that goes."""
    rows = _wrapped(look.plain(alarm.more), width, "", _indent(width), DIM)
    return rows if len(rows) < 2 else [rows[0].append(look.cut_off)]


def _indent(width: int) -> str:
    return " " * (8 if width >= _NARROW else 0)


def _wrapped(text: str, width: int, first: str, indent: str, style: str) -> list[Text]:
    if not text:
        return []
    # One column less, for the sign that tells where something is cut off.
    rows = wrapped(text.split(" "), max(width - max(len(first), len(indent)) - 1, 1))
    return [Text((indent if i else first or indent) + row, style) for i, row in enumerate(rows)]


def age(seconds: float) -> str:
    """A duration in four signs or five: ``45s``, ``12m``, ``5h07``, ``3d``."""
    whole = max(int(seconds), 0)
    if whole < 100:
        return f"{whole}s"
    if whole < 6000:
        return f"{whole // 60}m"
    if whole < 100 * 3600:
        return f"{whole // 3600}h{whole // 60 % 60:02}"
    return f"{whole // 86400}d"


def _more(alert: Found, culprits: Found) -> str:
    """The culprits of an alert with their shares: ``owners nginx[7] 81%, app[9] 5%; ports :80 81%``."""
    found = culprits.get(alert["check"], {})
    if isinstance(found, Sequence):
        found = next((each for each in found if each.get("iface") == alert["subject"]), {})
    return "; ".join(_lists(found))


def _lists(found: Found) -> Iterator[str]:
    kinds = [item for item in found.items() if item[0] not in _LEFT_OUT]
    for kind, entries in sorted(kinds, key=lambda item: item[0] not in _FIRST):
        if isinstance(entries, Sequence) and not isinstance(entries, str):
            shares = [
                f"{_who(entry)} {entry['percent']:.0f}%" for entry in entries if entry.get("percent", 0) >= 1
            ]
            if len(shares) > 1:  # a single one is in the sentence
                yield f"{kind} {', '.join(shares[:_NAMED])}"
        elif isinstance(entries, Mapping):
            yield f"{kind} {', '.join(f'{name} {value}' for name, value in entries.items())}"


def _who(entry: Found) -> str:
    port = f":{entry['port']}" if entry.get("port") else ""
    parts = [f"{entry.get('address', '')}{port}"] if port or entry.get("address") else []
    if entry.get("name"):
        parts.append(f"{entry['name']}[{entry['pid']}]")
    return " ".join(parts or [str(entry.get("state") or "unattributed")])
